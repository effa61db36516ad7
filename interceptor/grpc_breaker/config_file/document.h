#ifndef GRPC_BREAKER_CONFIG_FILE_DOCUMENT_H_
#define GRPC_BREAKER_CONFIG_FILE_DOCUMENT_H_

// What a file in JSON or YAML says, before it is known what it ought to say.
//
// Thread-compatible: plain values.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace grpc_breaker::internal {

// No file that is meant has more; what is not meant shall not cost memory.
inline constexpr size_t kMaxFileBytes = 4 << 20;
inline constexpr int kMaxDepth = 32;
inline constexpr int kMaxNodes = 250'000;

// What is wrong with a file, and where.
struct FileError {
  int line = 0;             // From 1 on; 0: of the whole file.
  std::string field;        // "methods[/pkg.Service/Method].timeout", or empty.
  std::string description;  // "must be ..., got ..."
};

struct DocumentNode {
  enum class Kind {
    kNull,
    kBool,      // JSON's.
    kNumber,    // JSON's.
    kPlain,     // YAML's without quotes: what it is, the field decides.
    kText,      // In quotes.
    kSequence,  // Of `children`.
    kMapping,   // From the keys of `children` to their values.
  };

  Kind kind = Kind::kNull;
  int line = 0;      // Of the key, if there is one.
  std::string key;   // In a mapping.
  std::string text;  // Of a scalar.
  std::vector<DocumentNode> children;
};

// With all that is below it.
inline int CountOf(const DocumentNode& node) {
  int count = 1;
  for (const DocumentNode& child : node.children) count += CountOf(child);
  return count;
}

// Puts a document together from what a parser meets one after the other.
//
// Thread-compatible.
class DocumentBuilder {
 public:
  // Each is empty, or says why there must not be one more. In a mapping, the
  // next node is the value of the last key.
  std::string Key(int line, std::string key) {
    key_line_ = line;
    key_ = std::move(key);
    return "";
  }
  std::string Scalar(DocumentNode::Kind kind, int line, std::string text = "") {
    return Add(kind, line, std::move(text));
  }
  std::string Begin(DocumentNode::Kind kind, int line) {
    std::string complaint = Add(kind, line, "");
    if (complaint.empty()) open_.push_back(last_);
    return complaint;
  }
  std::string Copy(const DocumentNode& node, int line) {
    std::string complaint = CheckDepth(DepthOf(node));
    if (!complaint.empty()) return complaint;
    nodes_ += CountOf(node) - 1;
    complaint = Add(node.kind, line, node.text);
    if (complaint.empty()) last_->children = node.children;
    return complaint;
  }

  // Ends what was begun last, and returns it.
  const DocumentNode& End() {
    const DocumentNode* ended = open_.back();
    open_.pop_back();
    return *ended;
  }

  // What was added last.
  const DocumentNode& last() const { return *last_; }
  // Null where nothing is open.
  const DocumentNode* open() const {
    return open_.empty() ? nullptr : open_.back();
  }
  // When all is closed.
  DocumentNode TakeRoot() { return std::move(root_); }

 private:
  static int DepthOf(const DocumentNode& node) {
    int depth = 0;
    for (const DocumentNode& child : node.children) {
      const int below = DepthOf(child) + 1;
      if (below > depth) depth = below;
    }
    return depth;
  }

  std::string CheckDepth(int below) const {
    if (static_cast<int>(open_.size()) + below < kMaxDepth) return "";
    return "must be nested at most " + std::to_string(kMaxDepth) + " deep";
  }

  std::string Add(DocumentNode::Kind kind, int line, std::string text) {
    std::string complaint = CheckDepth(0);
    if (!complaint.empty()) return complaint;
    if (++nodes_ > kMaxNodes) {
      return "must have at most " + std::to_string(kMaxNodes) + " values";
    }
    if (open_.empty()) {
      last_ = &root_;
    } else {
      // Those that are open are the last ones of their parents, so that they do
      // not move.
      last_ = &open_.back()->children.emplace_back();
      if (open_.back()->kind == DocumentNode::Kind::kMapping) {
        line = key_line_;
        last_->key = std::move(key_);
        key_.clear();
      }
    }
    last_->kind = kind;
    last_->line = line;
    last_->text = std::move(text);
    return "";
  }

  DocumentNode root_;
  DocumentNode* last_ = &root_;
  std::vector<DocumentNode*> open_;
  int nodes_ = 0;
  int key_line_ = 0;
  std::string key_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_DOCUMENT_H_
