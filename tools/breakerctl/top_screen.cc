#include "tools/breakerctl/top_screen.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/breakerctl/aggregate.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/text.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

using internal::FleetMember;

// As the service takes it, in bytes.
constexpr size_t kLongestReason = 256;

// Lines about processes that do not answer, at most.
constexpr size_t kMostProblems = 3;

constexpr absl::string_view kHelp[] = {
    "Keys",
    "",
    "  Up, Down, PgUp, PgDn, Home, End   choose a breaker",
    "  Enter       all of it: history and policy; Esc goes back",
    "  /           show those with a text in their names, state or cause;",
    "              Esc shows all again",
    "  s  r        order by the next column; the other way round",
    "  g           several processes: together, or each by itself",
    "  p           pause",
    "  o  c  x     open, close, reset it: with --allow-changes, after a reason",
    "              and a question",
    "  Ctrl-L      draw all of it anew",
    "  ?           this text",
    "  q, Ctrl-C   the end",
    "",
    "Columns",
    "",
    "  CALLS/S REJ/S   in the last interval: calls that ended, attempts "
    "refused",
    "  FAIL%           of the calls of the last minute",
    "  P50 P95 P99     half, 95 % and 99 % of them took no longer; the longest",
    "                  of several processes",
    "  HISTORY         calls in each of the last intervals, the newest on the",
    "                  right: yellow if some failed or were refused, red if at",
    "                  least half",
    "  CAUSE           of the state, or the last error's category",
    "",
    "In order of trouble: by state, then by failures and by rejections of the",
    "last minute. What is dim, or has a \"?\", is of a process that does not",
    "answer.",
};

absl::string_view Verb(TopRequest::Kind kind) {
  switch (kind) {
    case TopRequest::kOpen:
      return "open";
    case TopRequest::kClose:
      return "close";
    default:
      return "reset";
  }
}

// Without its last character, which is in UTF-8.
void EraseLast(std::string* text) {
  while (!text->empty()) {
    const unsigned char byte = static_cast<unsigned char>(text->back());
    text->pop_back();
    if ((byte & 0xC0) != 0x80) return;
  }
}

}  // namespace

void TopScreen::SetSnapshot(
    std::shared_ptr<const internal::FleetSnapshot> snapshot,
    MonotonicTime now) {
  if (paused_ && snapshot_ != nullptr) {
    next_ = std::move(snapshot);
    next_now_ = now;
    return;
  }
  snapshot_ = std::move(snapshot);
  now_ = now;
  MakeRows();
}

void TopScreen::SetDetails(const TopTarget& target,
                           std::vector<std::string> lines) {
  if (details_of_ == target) details_ = std::move(lines);
}

void TopScreen::Say(std::string message, bool is_error) {
  if (message_.empty()) {
    message_ = std::move(message);
    message_is_error_ = is_error;
    return;
  }
  absl::StrAppend(&message_, "; ", message);
  message_is_error_ = message_is_error_ || is_error;
}

TopTarget TopScreen::TargetOf(const TopRow& row) {
  TopTarget target{row.group.channel, row.group.method, {}};
  for (const FleetMember& member : row.group.members) {
    target.processes.push_back(member.process);
  }
  return target;
}

bool TopScreen::IsOf(const TopRow& row, const TopTarget& target) const {
  return row.group.channel == target.channel &&
         row.group.method == target.method &&
         (together_ || TargetOf(row) == target);
}

void TopScreen::MakeRows() {
  rows_ = snapshot_ == nullptr ? std::vector<TopRow>()
                               : TopRows(*snapshot_, together_, now_);
  all_rows_ = rows_.size();
  if (!filter_.empty()) {
    rows_.erase(std::remove_if(rows_.begin(), rows_.end(),
                               [this](const TopRow& row) {
                                 return !Matches(row, filter_);
                               }),
                rows_.end());
  }
  Sort(order_, reverse_, &rows_);
  // The chosen one may be elsewhere, and then is what stays chosen; or gone.
  if (chosen_) {
    const auto found =
        std::find_if(rows_.begin(), rows_.end(),
                     [this](const TopRow& row) { return IsOf(row, *chosen_); });
    if (found != rows_.end()) {
      chosen_at_ = static_cast<size_t>(found - rows_.begin());
    }
  }
  if (chosen_at_ >= rows_.size()) {
    chosen_at_ = rows_.empty() ? 0 : rows_.size() - 1;
  }
}

const TopRow* TopScreen::Chosen() const {
  return rows_.empty() ? nullptr : &rows_[chosen_at_];
}

TopLook TopScreen::Look() const {
  TopLook look;
  look.unicode = options_.unicode;
  look.order = order_;
  look.reverse = reverse_;
  look.several = options_.several;
  look.together = together_;
  look.step = options_.interval;
  return look;
}

TopRequest TopScreen::Press(const Key& key) {
  // What has come while something is asked has not been seen yet.
  if (prompt_ == Prompt::kNone) message_.clear();
  TopRequest request;
  if (prompt_ != Prompt::kNone) {
    PressInPrompt(key, &request);
    return request;
  }
  if (key.code == Key::kText && key.text == "q") {
    request.kind = TopRequest::kQuit;
  } else if (help_) {
    help_ = false;
  } else if (key.code == Key::kText && key.text == "?") {
    help_ = true;
  } else {
    PressInTable(key);
  }
  return request;
}

void TopScreen::PressInPrompt(const Key& key, TopRequest* request) {
  const Prompt prompt = prompt_;
  if (prompt == Prompt::kConfirm) {
    prompt_ = Prompt::kNone;
    if (key.code == Key::kText && absl::AsciiStrToLower(key.text) == "y") {
      *request = asked_;
    } else {
      Say("nothing was changed", /*is_error=*/false);
    }
    return;
  }
  std::string& text = prompt == Prompt::kFilter ? filter_ : input_;
  switch (key.code) {
    case Key::kText:
      if (prompt == Prompt::kFilter ||
          text.size() + key.text.size() <= kLongestReason) {
        text += key.text;
      }
      break;
    case Key::kBackspace:
      EraseLast(&text);
      break;
    case Key::kEscape:
      prompt_ = Prompt::kNone;
      text.clear();
      if (prompt == Prompt::kReason) {
        Say("nothing was changed", /*is_error=*/false);
      }
      break;
    case Key::kEnter:
      if (prompt == Prompt::kFilter) {
        prompt_ = Prompt::kNone;
      } else if (!absl::StripAsciiWhitespace(text).empty()) {
        asked_.reason = std::string(absl::StripAsciiWhitespace(text));
        prompt_ = Prompt::kConfirm;
      }
      break;
    default:
      break;
  }
  if (prompt == Prompt::kFilter) MakeRows();
}

void TopScreen::PressInTable(const Key& key) {
  const bool back = key.code == Key::kEscape || key.code == Key::kBackspace;
  if (details_of_) {
    if (back || key.code == Key::kEnter) {
      details_of_.reset();
      return;
    }
    const size_t last = details_.empty() ? 0 : details_.size() - 1;
    if (Move(key, last, &details_first_)) return;
  } else {
    if (back && !filter_.empty()) {
      filter_.clear();
      MakeRows();
      return;
    }
    if (!rows_.empty() && Move(key, rows_.size() - 1, &chosen_at_)) {
      chosen_ = TargetOf(rows_[chosen_at_]);
      return;
    }
    if (key.code == Key::kEnter) {
      if (const TopRow* row = Chosen()) {
        chosen_ = details_of_ = TargetOf(*row);
        details_ = {"asking..."};
        details_first_ = 0;
      }
      return;
    }
  }
  if (key.code != Key::kText) return;
  if (key.text == "o") return AskForChange(TopRequest::kOpen);
  if (key.text == "c") return AskForChange(TopRequest::kClose);
  if (key.text == "x") return AskForChange(TopRequest::kReset);
  if (key.text == "p") {
    paused_ = !paused_;
    if (!paused_ && next_ != nullptr) {
      SetSnapshot(std::exchange(next_, nullptr), next_now_);
    }
    return;
  }
  if (details_of_) return;
  if (key.text == "/") {
    prompt_ = Prompt::kFilter;
  } else if (key.text == "s") {
    order_ = Next(order_);
    reverse_ = false;
    MakeRows();
  } else if (key.text == "r") {
    reverse_ = !reverse_;
    MakeRows();
  } else if (key.text == "g" && options_.several) {
    together_ = !together_;
    chosen_.reset();
    MakeRows();
  }
}

bool TopScreen::Move(const Key& key, size_t last, size_t* at) const {
  switch (key.code) {
    case Key::kUp:
      *at -= *at > 0 ? 1 : 0;
      return true;
    case Key::kDown:
      *at = std::min(*at + 1, last);
      return true;
    case Key::kPageUp:
      *at -= std::min(*at, page_);
      return true;
    case Key::kPageDown:
      *at = std::min(*at + page_, last);
      return true;
    case Key::kHome:
      *at = 0;
      return true;
    case Key::kEnd:
      *at = last;
      return true;
    default:
      return false;
  }
}

void TopScreen::AskForChange(TopRequest::Kind kind) {
  if (!options_.allow_changes) {
    return Say("start it with --allow-changes to change breakers",
               /*is_error=*/true);
  }
  const TopRow* const row = Chosen();
  if (details_of_) {
    asked_.target = *details_of_;
  } else if (row != nullptr) {
    asked_.target = TargetOf(*row);
    chosen_ = asked_.target;
  } else {
    return;
  }
  asked_.kind = kind;
  input_.clear();
  prompt_ = Prompt::kReason;
}

Piece TopScreen::Plain(absl::string_view text) const {
  return {Writable(text, options_.unicode), {}};
}

FrameLine TopScreen::Summary() const {
  FrameLine line;
  if (snapshot_ == nullptr) return line;
  std::vector<admin::v1::State> states;
  size_t lost = 0;
  internal::FleetRates rates;
  for (const auto& process : snapshot_->processes) {
    if (process->stale()) {
      lost += process->rows.size();
      continue;
    }
    for (const auto& row : process->rows) {
      states.push_back(row->breaker.state());
      rates.calls += row->rates.calls;
      rates.failures += row->rates.failures;
      rates.rejections += row->rates.rejections;
    }
  }
  line.push_back({"breakerctl top", Color::kBold});
  if (options_.several) {
    line.push_back(
        {absl::StrCat("  ", snapshot_->processes.size(), " processes"), {}});
  }
  const size_t all = states.size() + lost;
  line.push_back(
      {absl::StrCat("  ", Count(static_cast<int64_t>(all), "breaker")), {}});
  absl::string_view separator = ": ";
  for (const admin::v1::State state : internal::StatesFromTheWorst()) {
    const auto count = std::count(states.begin(), states.end(), state);
    if (count == 0) continue;
    line.push_back({std::string(separator), {}});
    line.push_back(
        {absl::StrCat(count, " ", StateName(state)), StateColor(state)});
    separator = ", ";
  }
  if (lost > 0) {
    line.push_back({std::string(separator), {}});
    line.push_back({absl::StrCat(lost, " ?"), Color::kDim});
  }
  line.push_back(
      {absl::StrFormat("  %.1f calls/s, %.1f failed, %.1f rejected",
                       rates.calls, rates.failures, rates.rejections),
       {}});
  if (paused_) line.push_back({"  paused", Color::kYellow});
  return line;
}

std::vector<FrameLine> TopScreen::Problems() const {
  std::vector<FrameLine> lines;
  if (snapshot_ == nullptr) return lines;
  size_t more = 0;
  for (const auto& process : snapshot_->processes) {
    std::string problem;
    if (process->stale()) {
      problem =
          absl::StrCat("no answer for ",
                       Rough(absl::FromChrono(now_ - *process->failing_since)),
                       ": ", Describe(process->status));
    } else if (!process->answered) {
      problem = "no answer yet";
    } else {
      continue;
    }
    if (lines.size() == kMostProblems) {
      ++more;
      continue;
    }
    lines.push_back({{Writable(absl::StrCat(process->name, ": ", problem),
                               options_.unicode),
                      Color::kRed}});
  }
  if (more > 0) {
    lines.back().push_back(
        {absl::StrCat("  (and ", more, " more)"), Color::kRed});
  }
  return lines;
}

std::string TopScreen::Asked() const {
  const TopTarget& target = asked_.target;
  return absl::StrCat(
      Verb(asked_.kind), " ", target.method, " of ", target.channel,
      options_.several
          ? absl::StrCat(
                " in ",
                target.processes.size() == 1
                    ? snapshot_->processes[target.processes[0]]->name
                    : absl::StrCat(target.processes.size(), " processes"))
          : "");
}

FrameLine TopScreen::StatusLine() const {
  switch (prompt_) {
    case Prompt::kFilter:
      return {{"/", Color::kBold}, Plain(filter_ + "_")};
    case Prompt::kReason:
      return {{Writable(absl::StrCat(Asked(), ": why? "), options_.unicode),
               Color::kBold},
              Plain(input_ + "_")};
    case Prompt::kConfirm:
      return {{Writable(absl::StrCat(Asked(), " (", asked_.reason, ")? "),
                        options_.unicode),
               Color::kBold},
              {"y: yes, any other key: no", {}}};
    case Prompt::kNone:
      break;
  }
  if (!message_.empty()) {
    return {{Writable(message_, options_.unicode),
             message_is_error_ ? std::optional(Color::kRed) : std::nullopt}};
  }
  if (help_) return {{"any key goes back", Color::kDim}};
  if (details_of_) {
    return {{absl::StrCat(
                 "Esc back  Up/Down scroll",
                 options_.allow_changes ? "  o open  c close  x reset" : "",
                 "  q quit"),
             Color::kDim}};
  }
  FrameLine line;
  if (!filter_.empty()) {
    line.push_back({Writable(absl::StrCat(rows_.size(), " of ", all_rows_,
                                          " with \"", filter_, "\"  "),
                             options_.unicode),
                    Color::kBold});
  }
  line.push_back(
      {absl::StrCat("by ", absl::AsciiStrToLower(NameOf(order_)),
                    reverse_ ? ", reversed" : "",
                    "  ? help  / filter  s sort  Enter details",
                    options_.allow_changes ? "  o open  c close  x reset" : "",
                    "  q quit"),
       Color::kDim});
  return line;
}

void TopScreen::DrawTable(size_t width, size_t height, Frame* frame) {
  const TopLayout layout(rows_, Look(), width);
  frame->push_back(layout.Heading());
  page_ = std::max<size_t>(height, 2) - 1;
  first_ = std::min(first_, chosen_at_);
  if (chosen_at_ >= first_ + page_) first_ = chosen_at_ - page_ + 1;
  if (first_ + page_ > rows_.size()) {
    first_ = rows_.size() - std::min(rows_.size(), page_);
  }
  for (size_t i = first_; i < std::min(first_ + page_, rows_.size()); ++i) {
    frame->push_back(layout.Line(rows_[i], i == chosen_at_));
  }
}

void TopScreen::DrawDetails(size_t width, size_t height, Frame* frame) {
  const size_t begin = frame->size();
  for (const TopRow& row : rows_) {
    if (!IsOf(row, *details_of_)) continue;
    const TopLayout layout({&row, 1}, Look(), width);
    frame->push_back(layout.Heading());
    frame->push_back(layout.Line(row, /*chosen=*/false));
    frame->emplace_back();
    const FrameLine history =
        Sparkline(internal::RatesOver(row.group.members, row.points_end,
                                      options_.interval, width),
                  options_.unicode);
    frame->push_back(history);
    frame->emplace_back();
  }
  const size_t used = frame->size() - begin;
  page_ = std::max<size_t>(height, used + 1) - used;
  for (size_t i = details_first_;
       i < std::min(details_first_ + page_, details_.size()); ++i) {
    frame->push_back({Plain(details_[i])});
  }
}

void TopScreen::DrawHelp(Frame* frame) const {
  for (const absl::string_view line : kHelp) {
    frame->push_back({{std::string(line), {}}});
  }
}

Frame TopScreen::Draw(size_t width, size_t height) {
  Frame frame = {Summary()};
  for (FrameLine& problem : Problems()) frame.push_back(std::move(problem));
  // The status line has its place in any case.
  const size_t rest = height - std::min(height, frame.size() + 1);
  if (help_) {
    DrawHelp(&frame);
  } else if (details_of_) {
    DrawDetails(width, rest, &frame);
  } else {
    DrawTable(width, rest, &frame);
  }
  frame.resize(std::max<size_t>(height, 1) - 1);
  frame.push_back(StatusLine());
  frame.resize(height);
  for (FrameLine& line : frame) line = Cropped(std::move(line), width);
  return frame;
}

Frame TopScreen::DrawOnce(size_t width) {
  Frame frame = {Summary()};
  for (FrameLine& problem : Problems()) frame.push_back(std::move(problem));
  const TopLayout layout(rows_, Look(), width);
  frame.push_back(layout.Heading());
  for (const TopRow& row : rows_) {
    frame.push_back(layout.Line(row, /*chosen=*/false));
  }
  return frame;
}

}  // namespace grpc_breaker::breakerctl
