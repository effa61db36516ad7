#include "grpc_breaker/config_file/json_document.h"

#ifdef GRPC_BREAKER_JSON
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#endif

namespace grpc_breaker::internal {

#ifdef GRPC_BREAKER_JSON

namespace {

// Lets a parser walk over the text, and others see how far it has come.
class WatchedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  WatchedIterator(const char* at, const char** reached)
      : at_(at), reached_(reached) {}

  reference operator*() const { return *at_; }
  WatchedIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  WatchedIterator operator++(int) {
    const WatchedIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const WatchedIterator& other) const {
    return at_ == other.at_;
  }
  bool operator!=(const WatchedIterator& other) const {
    return at_ != other.at_;
  }

 private:
  const char* at_;
  const char** reached_;
};

// Fed by the parser, which stops where a function returns false. The names are
// the parser's.
class Handler {
 public:
  using Json = nlohmann::json;
  using Kind = DocumentNode::Kind;

  Handler(absl::string_view text, const char* const* reached)
      : counted_(text.data()), reached_(*reached) {}

  bool null() { return Took(builder_.Scalar(Kind::kNull, Line())); }
  bool boolean(bool value) {
    return Took(builder_.Scalar(Kind::kBool, Line(), value ? "true" : "false"));
  }
  bool number_integer(Json::number_integer_t value) {
    return Number(absl::StrCat(value));
  }
  bool number_unsigned(Json::number_unsigned_t value) {
    return Number(absl::StrCat(value));
  }
  bool number_float(Json::number_float_t /*value*/, std::string literal) {
    // Some versions give the decimal point of the locale.
    for (char& c : literal) {
      if (std::string("0123456789+-eE").find(c) == std::string::npos) c = '.';
    }
    return Number(std::move(literal));
  }
  bool string(std::string& value) {
    return Took(builder_.Scalar(Kind::kText, Line(), std::move(value)));
  }
  // Of binary formats.
  bool binary(Json::binary_t& /*value*/) { return false; }

  bool start_object(size_t /*size*/) {
    return Took(builder_.Begin(Kind::kMapping, Line()));
  }
  bool key(std::string& value) {
    return Took(builder_.Key(Line(), std::move(value)));
  }
  bool end_object() { return End(); }
  bool start_array(size_t /*size*/) {
    return Took(builder_.Begin(Kind::kSequence, Line()));
  }
  bool end_array() { return End(); }

  bool parse_error(size_t /*position*/, const std::string& /*last_token*/,
                   const Json::exception& exception) {
    // "[json.exception...] parse error at line 1, column 5: syntax error ...".
    std::string what = exception.what();
    const size_t column = what.find(", column ");
    const size_t colon =
        column == std::string::npos ? column : what.find(": ", column);
    if (colon != std::string::npos) what.erase(0, colon + 2);
    return Took(absl::StrCat("must be JSON: ", what));
  }

  const std::optional<FileError>& error() const { return error_; }
  DocumentNode TakeRoot() { return builder_.TakeRoot(); }

 private:
  // That of what ends before `end`, which only grows.
  int LineBefore(const char* end) {
    for (; counted_ < end; ++counted_) {
      if (*counted_ == '\n') ++line_;
    }
    return line_;
  }
  int Line() { return LineBefore(reached_); }

  // Only the character that follows a number says where it ends.
  bool Number(std::string text) {
    return Took(builder_.Scalar(Kind::kNumber, LineBefore(reached_ - 1),
                                std::move(text)));
  }

  bool End() {
    builder_.End();
    return true;
  }

  bool Took(std::string complaint) {
    if (complaint.empty()) return true;
    error_ = FileError{Line(), "", std::move(complaint)};
    return false;
  }

  DocumentBuilder builder_;
  const char* counted_;
  const char* const& reached_;
  int line_ = 1;
  std::optional<FileError> error_;
};

// In the order of the document.
nlohmann::ordered_json ToJson(const DocumentNode& node) {
  using Kind = DocumentNode::Kind;
  using Json = nlohmann::ordered_json;
  switch (node.kind) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
    case Kind::kNumber:
      // Is JSON already.
      return Json::parse(node.text, nullptr, /*allow_exceptions=*/false);
    case Kind::kPlain:
    case Kind::kText:
      return node.text;
    case Kind::kSequence: {
      Json list = Json::array();
      for (const DocumentNode& child : node.children) {
        list.push_back(ToJson(child));
      }
      return list;
    }
    case Kind::kMapping:
      break;
  }
  Json mapping = Json::object();
  for (const DocumentNode& child : node.children) {
    mapping[child.key] = ToJson(child);
  }
  return mapping;
}

}  // namespace

std::optional<FileError> ParseJson(absl::string_view text, DocumentNode* root) {
  const char* reached = text.data();
  Handler handler(text, &reached);
  const WatchedIterator begin(text.data(), &reached);
  const WatchedIterator end(text.data() + text.size(), &reached);
  if (!nlohmann::json::sax_parse(begin, end, &handler)) return handler.error();
  *root = handler.TakeRoot();
  return std::nullopt;
}

std::string FormatJson(const DocumentNode& root) {
  return absl::StrCat(ToJson(root).dump(/*indent=*/2), "\n");
}

#else

std::optional<FileError> ParseJson(absl::string_view /*text*/,
                                   DocumentNode* /*root*/) {
  return FileError{0, "", "must not be JSON: this build cannot read it"};
}

std::string FormatJson(const DocumentNode& /*root*/) { return ""; }

#endif

}  // namespace grpc_breaker::internal
