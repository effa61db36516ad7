#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_SCREEN_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_SCREEN_H_

// What breakerctl top shows and how keys change that, without a terminal: keys
// and what is known of the processes go in, frames and requests come out.
//
// Thread-compatible: belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "tools/breakerctl/frame.h"
#include "tools/breakerctl/top_table.h"

namespace grpc_breaker::breakerctl {

struct Key {
  enum Code {
    kText,
    kUp,
    kDown,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
    kEnter,
    kEscape,
    kBackspace,
  };
  Code code = kText;
  std::string text;  // Of kText: a character, in UTF-8.
};

// One breaker in those processes that have it.
struct TopTarget {
  std::string channel;
  std::string method;
  std::vector<size_t> processes;

  friend bool operator==(const TopTarget& a, const TopTarget& b) {
    return a.channel == b.channel && a.method == b.method &&
           a.processes == b.processes;
  }
};

// What a key asks for that is not for the screen to do.
struct TopRequest {
  enum Kind { kNone, kQuit, kOpen, kClose, kReset };
  Kind kind = kNone;
  TopTarget target;    // Of the last three,
  std::string reason;  // not empty.
};

struct TopOptions {
  // There are several processes.
  bool several = false;
  // Breakers may be opened, closed and reset.
  bool allow_changes = false;
  // Characters that are not ASCII can be shown.
  bool unicode = false;
  // Between answers.
  absl::Duration interval = absl::Seconds(1);
};

class TopScreen {
 public:
  explicit TopScreen(const TopOptions& options)
      : options_(options), together_(options.several) {}

  // What is known at `now`; not shown as long as it is paused.
  void SetSnapshot(std::shared_ptr<const internal::FleetSnapshot> snapshot,
                   MonotonicTime now);

  TopRequest Press(const Key& key);

  // Whose details are shown, if any are; they are to be set when they are known
  // and again when something has changed.
  std::optional<TopTarget> wanted_details() const { return details_of_; }
  void SetDetails(const TopTarget& target, std::vector<std::string> lines);

  // Shows it, behind what is shown already, until the next key is pressed;
  // while something is asked, as soon as that is answered.
  void Say(std::string message, bool is_error);

  // Exactly `height` lines, of `width` columns at most.
  Frame Draw(size_t width, size_t height);

  // All of the table, without anything about keys. `width` 0: any.
  Frame DrawOnce(size_t width);

 private:
  enum class Prompt { kNone, kFilter, kReason, kConfirm };

  static TopTarget TargetOf(const TopRow& row);
  // Also where by now other processes have it.
  bool IsOf(const TopRow& row, const TopTarget& target) const;

  void PressInPrompt(const Key& key, TopRequest* request);
  void PressInTable(const Key& key);
  // True if it has moved `*at`, in [0, last].
  bool Move(const Key& key, size_t last, size_t* at) const;
  void AskForChange(TopRequest::Kind kind);

  void MakeRows();
  const TopRow* Chosen() const;
  TopLook Look() const;

  FrameLine Summary() const;
  std::vector<FrameLine> Problems() const;
  FrameLine StatusLine() const;
  void DrawTable(size_t width, size_t height, Frame* frame);
  void DrawDetails(size_t width, size_t height, Frame* frame);
  void DrawHelp(Frame* frame) const;
  std::string Asked() const;
  Piece Plain(absl::string_view text) const;

  const TopOptions options_;

  std::shared_ptr<const internal::FleetSnapshot> snapshot_;
  MonotonicTime now_;
  // What has come while it is paused.
  bool paused_ = false;
  std::shared_ptr<const internal::FleetSnapshot> next_;
  MonotonicTime next_now_;

  bool together_;
  TopOrder order_ = TopOrder::kTrouble;
  bool reverse_ = false;
  std::string filter_;

  // Those that match the filter, in order.
  std::vector<TopRow> rows_;
  size_t all_rows_ = 0;
  // Where the chosen one was last, and which it is, once a key has said that.
  size_t chosen_at_ = 0;
  std::optional<TopTarget> chosen_;
  size_t first_ = 0;  // On the screen.
  size_t page_ = 1;   // So many fit.

  std::optional<TopTarget> details_of_;
  std::vector<std::string> details_;
  size_t details_first_ = 0;
  bool help_ = false;

  Prompt prompt_ = Prompt::kNone;
  std::string input_;
  TopRequest asked_;

  std::string message_;
  bool message_is_error_ = false;
};

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_SCREEN_H_
