#include "grpc_breaker/config_file/yaml_document.h"

// The parser throws what it has to say.
#if defined(GRPC_BREAKER_YAML) && defined(__cpp_exceptions)
#define GRPC_BREAKER_CAN_READ_YAML 1
#include <exception>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "yaml-cpp/emitter.h"
#include "yaml-cpp/emittermanip.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"
#endif

namespace grpc_breaker::internal {

#ifdef GRPC_BREAKER_CAN_READ_YAML

namespace {

using Kind = DocumentNode::Kind;

// Fed by the parser, which stops when a function throws.
class Handler final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Fail(mark, "must be one document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (IsKey()) Fail(mark, "a key must be text, got null");
    Check(mark, builder_.Scalar(Kind::kNull, LineOf(mark)));
    Name(anchor, builder_.last());
    Ended();
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (IsKey()) Fail(mark, "a key must be text, got an alias");
    const auto found = named_.find(anchor);
    if (found == named_.end()) {
      Fail(mark, "an alias must not be within what it stands for");
    }
    Check(mark, builder_.Copy(found->second, LineOf(mark)));
    Ended();
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    if (tag != kPlainTag && tag != kQuotedTag && tag != kTextTag) {
      Fail(mark, absl::StrCat("must not have the tag ", tag));
    }
    if (IsKey()) {
      if (anchor != YAML::NullAnchor) {
        Fail(mark, "a key must not have an anchor");
      }
      Check(mark, builder_.Key(LineOf(mark), value));
      expects_key_.back() = false;
      return;
    }
    Check(mark, builder_.Scalar(tag == kPlainTag ? Kind::kPlain : Kind::kText,
                                LineOf(mark), value));
    Name(anchor, builder_.last());
    Ended();
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Begin(Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Begin(Kind::kMapping, mark, tag, anchor);
  }
  void OnMapEnd() override { End(); }

  DocumentNode TakeRoot() { return builder_.TakeRoot(); }

 private:
  // As the parser names them.
  static constexpr char kPlainTag[] = "?";
  static constexpr char kQuotedTag[] = "!";
  static constexpr char kTextTag[] = "tag:yaml.org,2002:str";

  static int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

  [[noreturn]] static void Fail(const YAML::Mark& mark,
                                const std::string& complaint) {
    throw FileError{LineOf(mark), "", complaint};
  }
  static void Check(const YAML::Mark& mark, const std::string& complaint) {
    if (!complaint.empty()) Fail(mark, complaint);
  }

  // Whether what comes next is the key of a mapping.
  bool IsKey() const { return !expects_key_.empty() && expects_key_.back(); }

  // A value has come to its end, and another key may follow.
  void Ended() {
    if (builder_.open() != nullptr && builder_.open()->kind == Kind::kMapping) {
      expects_key_.back() = true;
    }
  }

  void Begin(Kind kind, const YAML::Mark& mark, const std::string& tag,
             YAML::anchor_t anchor) {
    if (IsKey()) {
      Fail(mark, absl::StrCat("a key must be text, got a ",
                              kind == Kind::kMapping ? "mapping" : "list"));
    }
    if (tag != kPlainTag && tag != kQuotedTag) {
      Fail(mark, absl::StrCat("must not have the tag ", tag));
    }
    Check(mark, builder_.Begin(kind, LineOf(mark)));
    expects_key_.push_back(kind == Kind::kMapping);
    anchors_.push_back(anchor);
  }

  void End() {
    Name(anchors_.back(), builder_.End());
    anchors_.pop_back();
    expects_key_.pop_back();
    Ended();
  }

  // Keeps what an alias may stand for. Anchors within one another keep the same
  // nodes again.
  void Name(YAML::anchor_t anchor, const DocumentNode& node) {
    if (anchor == YAML::NullAnchor) return;
    named_nodes_ += CountOf(node);
    if (named_nodes_ > kMaxNodes) {
      throw FileError{node.line, "", "must have fewer values with anchors"};
    }
    named_[anchor] = node;
  }

  DocumentBuilder builder_;
  int documents_ = 0;
  std::vector<bool> expects_key_;        // Of what is open.
  std::vector<YAML::anchor_t> anchors_;  // Likewise.
  std::map<YAML::anchor_t, DocumentNode> named_;
  int named_nodes_ = 0;
};

void Emit(const DocumentNode& node, YAML::Emitter* out) {
  switch (node.kind) {
    case Kind::kNull:
      *out << YAML::Null;
      return;
    case Kind::kBool:
    case Kind::kNumber:
    case Kind::kPlain:
      *out << node.text;
      return;
    case Kind::kText:
      *out << YAML::DoubleQuoted << node.text;
      return;
    case Kind::kSequence:
      *out << YAML::Flow << YAML::BeginSeq;
      for (const DocumentNode& child : node.children) Emit(child, out);
      *out << YAML::EndSeq;
      return;
    case Kind::kMapping:
      break;
  }
  *out << YAML::BeginMap;
  for (const DocumentNode& child : node.children) {
    *out << YAML::Key << child.key << YAML::Value;
    Emit(child, out);
  }
  *out << YAML::EndMap;
}

}  // namespace

std::optional<FileError> ParseYaml(absl::string_view text, DocumentNode* root) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Handler handler;
    while (parser.HandleNextDocument(handler)) {
    }
    *root = handler.TakeRoot();
    return std::nullopt;
  } catch (const FileError& error) {
    return error;
  } catch (const YAML::Exception& exception) {
    const bool has_mark = !exception.mark.is_null();
    return FileError{has_mark ? exception.mark.line + 1 : 0, "",
                     absl::StrCat("must be YAML: ", exception.msg)};
  } catch (const std::exception& exception) {
    return FileError{0, "", absl::StrCat("must be YAML: ", exception.what())};
  }
}

std::string FormatYaml(const DocumentNode& root) {
  YAML::Emitter out;
  Emit(root, &out);
  return absl::StrCat(out.c_str(), "\n");
}

#else

std::optional<FileError> ParseYaml(absl::string_view /*text*/,
                                   DocumentNode* /*root*/) {
  return FileError{0, "", "must not be YAML: this build cannot read it"};
}

std::string FormatYaml(const DocumentNode& /*root*/) { return ""; }

#endif

}  // namespace grpc_breaker::internal
