#include "grpc_breaker/config_file.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/policy.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// What is wrong, or the empty string.
std::string ErrorIn(absl::string_view text, ConfigFormat format) {
  const absl::StatusOr<ConfigFile> file = ParseConfig(text, format, "f");
  if (file.ok()) return "";
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(file.status().message());
}
std::string YamlError(absl::string_view text) {
  return ErrorIn(text, ConfigFormat::kYaml);
}
std::string JsonError(absl::string_view text) {
  return ErrorIn(text, ConfigFormat::kJson);
}
std::string TextError(absl::string_view text) {
  return ErrorIn(text, ConfigFormat::kTextProto);
}

config::v1::Config MessageOf(absl::string_view text, ConfigFormat format) {
  const absl::StatusOr<ConfigFile> file = ParseConfig(text, format, "f");
  EXPECT_TRUE(file.ok()) << file.status() << "\n" << text;
  return file.ok() ? file->message() : config::v1::Config();
}
config::v1::Policy YamlPolicy(absl::string_view text) {
  return MessageOf(absl::StrCat("default_policy: {", text, "}"),
                   ConfigFormat::kYaml)
      .default_policy();
}

// What is wrong with the file as a whole, over the default options.
std::string CheckYaml(absl::string_view text) {
  const absl::StatusOr<ConfigFile> file =
      ParseConfig(text, ConfigFormat::kYaml, "f");
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) return "";
  return std::string(file->Check().message());
}

// --- Every field, in every format ---

// Sets all of a message, each field to what no other has.
void Fill(Message* message, int* next) {
  const auto& type = *message->GetDescriptor();
  const auto& reflection = *message->GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    const int value = ++*next;
    if (field->is_map()) {
      Message* entry = reflection.AddMessage(message, field);
      const auto& entries = *entry->GetReflection();
      entries.SetString(entry, field->message_type()->map_key(),
                        absl::StrCat("/pkg.\"S\": #", value, "/\xC3\xA4\\n"));
      Fill(entries.MutableMessage(entry, field->message_type()->map_value()),
           next);
      continue;
    }
    const bool repeated = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection.SetBool(message, field, value % 2 == 0);
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        reflection.SetInt32(message, field, -value);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        reflection.SetInt64(message, field, (int64_t{1} << 60) + value);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        repeated ? reflection.AddDouble(message, field, value * 1e-20)
                 : reflection.SetDouble(message, field, value / 3.0);
        break;
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string text = absl::StrCat("yes: ", value, " # \n\t\"null");
        repeated ? reflection.AddString(message, field, text)
                 : reflection.SetString(message, field, text);
        break;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto& values = *field->enum_type();
        reflection.SetEnumValue(
            message, field,
            values.value(1 + value % (values.value_count() - 1))->number());
        break;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* part = repeated ? reflection.AddMessage(message, field)
                                 : reflection.MutableMessage(message, field);
        if (field->message_type() == google::protobuf::Duration::descriptor()) {
          static_cast<google::protobuf::Duration*>(part)->set_seconds(value);
          static_cast<google::protobuf::Duration*>(part)->set_nanos(value);
        } else {
          Fill(part, next);
        }
        break;
      }
      default:
        ADD_FAILURE() << field->full_name();
    }
  }
}

config::v1::Config Filled() {
  config::v1::Config config;
  int next = 0;
  Fill(&config, &next);
  return config;
}

std::string JsonOf(const Message& message, bool proto_names) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = proto_names;
  options.add_whitespace = true;
  std::string text;
  EXPECT_TRUE(
      google::protobuf::util::MessageToJsonString(message, &text, options)
          .ok());
  return text;
}

void ExpectSame(const config::v1::Config& actual,
                const config::v1::Config& expected) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string differences;
  differencer.ReportDifferencesToString(&differences);
  EXPECT_TRUE(differencer.Compare(expected, actual)) << differences;
}

TEST(ConfigFileTest, EachFieldArrivesInEachFormatAndUnderBothNames) {
  const config::v1::Config config = Filled();
  for (const bool proto_names : {false, true}) {
    const std::string json = JsonOf(config, proto_names);
    ExpectSame(MessageOf(json, ConfigFormat::kJson), config);
    // YAML has JSON in it.
    ExpectSame(MessageOf(json, ConfigFormat::kYaml), config);
  }
  std::string text;
  EXPECT_TRUE(google::protobuf::TextFormat::PrintToString(config, &text));
  ExpectSame(MessageOf(text, ConfigFormat::kTextProto), config);
}

TEST(ConfigFileTest, WhatIsWrittenIsReadInEachFormat) {
  const config::v1::Config config = Filled();
  for (const ConfigFormat format :
       {ConfigFormat::kJson, ConfigFormat::kYaml, ConfigFormat::kTextProto}) {
    const std::string text = FormatConfig(config, format);
    ExpectSame(MessageOf(text, format), config);
    EXPECT_EQ(FormatConfig(config, format), text);
    ExpectSame(MessageOf(FormatConfig({}, format), format), {});
  }
}

TEST(ConfigFileTest, FilesAreWrittenAsPeopleWriteThem) {
  config::v1::Config config;
  config::v1::Policy& policy = (*config.mutable_methods())["/p.S/M"];
  policy.mutable_timeout()->set_nanos(250'000'000);
  policy.mutable_retry()->set_jitter(config::v1::JITTER_FULL);
  policy.mutable_breaker()->add_ramp(0.1);
  policy.mutable_breaker()->add_ramp(0.5);
  policy.set_authority("true");
  (*config.mutable_methods())["/p.S/A"].set_wait_for_ready(false);
  config.set_max_methods(7);
  EXPECT_EQ(FormatConfig(config, ConfigFormat::kYaml),
            R"(methods:
  /p.S/A:
    wait_for_ready: false
  /p.S/M:
    retry:
      jitter: FULL
    breaker:
      ramp: [0.1, 0.5]
    timeout: 250ms
    authority: "true"
max_methods: 7
)");
  EXPECT_EQ(FormatConfig(config, ConfigFormat::kJson),
            R"({
  "methods": {
    "/p.S/A": {
      "wait_for_ready": false
    },
    "/p.S/M": {
      "retry": {
        "jitter": "FULL"
      },
      "breaker": {
        "ramp": [
          0.1,
          0.5
        ]
      },
      "timeout": "250ms",
      "authority": "true"
    }
  },
  "max_methods": 7
}
)");
}

TEST(ConfigFileTest, FormatsSayTheSame) {
  const config::v1::Config yaml = MessageOf(R"(# Of the shop.
default_policy:
  timeout: 2.5s
  retry:
    max_retries: 3
    jitter: FULL
methods:
  /shop.Inventory/GetStock:
    breaker: {ramp: [0.1, 0.5]}
    classification:
    - code: UNAVAILABLE
      severity: HIGH
    - {code: 5, retryable: true}
)",
                                            ConfigFormat::kYaml);
  ExpectSame(MessageOf(R"({
    "defaultPolicy": {"timeout": "2500ms",
                      "retry": {"maxRetries": 3, "jitter": "JITTER_FULL"}},
    "methods": {"/shop.Inventory/GetStock": {
        "breaker": {"ramp": [0.1, 0.5]},
        "classification": [{"code": "STATUS_CODE_UNAVAILABLE",
                            "severity": "ERROR_SEVERITY_HIGH"},
                           {"code": "NOT_FOUND", "retryable": true}]}}})",
                       ConfigFormat::kJson),
             yaml);
  ExpectSame(MessageOf(R"(
    default_policy { timeout { seconds: 2 nanos: 500000000 }
                     retry { max_retries: 3 jitter: JITTER_FULL } }
    methods { key: "/shop.Inventory/GetStock"
              value { breaker { ramp: [0.1, 0.5] }
                      classification { code: STATUS_CODE_UNAVAILABLE
                                       severity: ERROR_SEVERITY_HIGH }
                      classification { code: STATUS_CODE_NOT_FOUND
                                       retryable: true } } })",
                       ConfigFormat::kTextProto),
             yaml);
}

TEST(ConfigFileTest, NothingInAFileChangesNothing) {
  for (const char* text : {"", "# Nothing.\n", "---\n", "{}"}) {
    ExpectSame(MessageOf(text, ConfigFormat::kYaml), {});
  }
  ExpectSame(MessageOf("{}", ConfigFormat::kJson), {});
  ExpectSame(MessageOf("# Nothing.\n", ConfigFormat::kTextProto), {});
}

TEST(ConfigFileTest, ByteOrderMarkAndCarriageReturnsMakeNoDifference) {
  const std::string mark = "\xEF\xBB\xBF";
  for (const auto& [text, format] :
       std::vector<std::pair<std::string, ConfigFormat>>{
           {"strict_methods: true\r\nmax_methods: 7\r\n", ConfigFormat::kYaml},
           {"{\"strict_methods\": true,\r\n\"max_methods\": 7}\r\n",
            ConfigFormat::kJson},
           {"strict_methods: true\r\nmax_methods: 7\r\n",
            ConfigFormat::kTextProto}}) {
    const config::v1::Config config = MessageOf(mark + text, format);
    EXPECT_TRUE(config.strict_methods());
    EXPECT_EQ(config.max_methods(), 7);
  }
}

// --- Null and empty lists ---

TEST(ConfigFileTest, NullMakesAFieldOfAPolicyWhatItIsByDefault) {
  EXPECT_THAT(
      YamlPolicy("timeout: null, retry: {max_retries: ~}, breaker:").reset(),
      ElementsAre("timeout", "retry.max_retries", "breaker"));
  EXPECT_THAT(MessageOf(R"({"methods": {"/p.S/M": {"timeout": null}}})",
                        ConfigFormat::kJson)
                  .methods()
                  .at("/p.S/M")
                  .reset(),
              ElementsAre("timeout"));

  Options options;
  options.default_policy.timeout = absl::Seconds(7);
  options.default_policy.retry.max_retries = 77;
  const auto file =
      ParseConfig("default_policy: {timeout: null, retry: {max_retries: null}}",
                  ConfigFormat::kYaml, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->ApplyTo(&options).ok());
  EXPECT_EQ(options.default_policy.timeout, std::nullopt);
  EXPECT_EQ(options.default_policy.retry.max_retries,
            Policy().retry.max_retries);
}

TEST(ConfigFileTest, AnEmptyListLeavesNothingToInherit) {
  Options options;
  options.default_policy.breaker.ramp = {0.5};
  options.default_policy.classification[grpc::StatusCode::NOT_FOUND].retryable =
      true;
  const auto file =
      ParseConfig("default_policy: {breaker: {ramp: []}, classification: []}",
                  ConfigFormat::kYaml, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->ApplyTo(&options).ok());
  EXPECT_THAT(options.default_policy.breaker.ramp, IsEmpty());
  EXPECT_THAT(options.default_policy.classification, IsEmpty());
}

TEST(ConfigFileTest, OnlyWhatIsInAPolicyCanBeNull) {
  EXPECT_EQ(YamlError("max_methods: null"),
            "f:1: max_methods: must not be null: only a field of a policy can "
            "be reset");
  EXPECT_EQ(YamlError("methods: {/p.S/M: null}"),
            "f:1: methods[/p.S/M]: must be a mapping of fields, got null");
  EXPECT_EQ(
      YamlError("default_policy:\n  classification: [{code: null}]"),
      "f:2: default_policy.classification[0].code: must not be null: only "
      "a field of a policy can be reset");
  EXPECT_EQ(JsonError("null"), "f:1: must be a mapping of fields, got null");
}

// --- What is wrong is told ---

TEST(ConfigFileTest, AWrongNameIsToldWithTheNearestOne) {
  EXPECT_EQ(YamlError("default_policy:\n  retry:\n    max_retrys: 3\n"),
            "f:3: default_policy.retry: has no field \"max_retrys\"; the "
            "nearest is max_retries");
  EXPECT_EQ(JsonError("{\n\"defaultPolicy\":\n{\"timeOut\": \"1s\"}}"),
            "f:3: default_policy: has no field \"timeOut\"; the nearest is "
            "timeout");
  EXPECT_EQ(YamlError("maxMethod: 1"),
            "f:1: has no field \"maxMethod\"; the nearest is maxMethods");
  EXPECT_THAT(TextError("default_policy {\n  retry { max_retrys: 3 } }"),
              AllOf(StartsWith("f:2: "), HasSubstr("\"max_retrys\""),
                    EndsWith("The nearest is max_retries.")));
  EXPECT_THAT(TextError("default_policy {\n  retry { jitter: JITTER_FUL } }"),
              AllOf(StartsWith("f:2: "), HasSubstr("\"JITTER_FUL\""),
                    EndsWith("The nearest is JITTER_FULL.")));
  EXPECT_THAT(
      TextError("default_policy { classification { category: TRANSIEN } }"),
      EndsWith("The nearest is ERROR_CATEGORY_TRANSIENT."));
  // The first of these is not called UNSPECIFIED.
  EXPECT_THAT(TextError("default_policy { classification { code: ABORT } }"),
              EndsWith("The nearest is STATUS_CODE_ABORTED."));
}

TEST(ConfigFileTest, MoreMethodsThanMaxMethodsIsAnErrorOnItsLine) {
  EXPECT_EQ(CheckYaml("methods: {/p.S/M: {}, /p.S/N: {}}\nmax_methods: 1"),
            "f:2: max_methods: must be at least the number of policies in "
            "methods, 2, got 1");
  EXPECT_EQ(CheckYaml("methods: {/p.S/M: {}, /p.S/N: {}}\nmax_methods: 2"), "");
}

TEST(ConfigFileTest, AWrongValueIsToldWithWhatIsRight) {
  const std::map<std::string, std::string> complaints = {
      {"timeout: 5",
       "timeout: must be a duration such as \"1.5s\" or "
       "\"250ms\", got \"5\""},
      {"timeout: 1.25ns",
       "timeout: must be a whole number of nanoseconds in "
       "10,000 years, got \"1.25ns\""},
      {"timeout: 99999999h",
       "timeout: must be a whole number of nanoseconds "
       "in 10,000 years, got \"99999999h\""},
      {"timeout: [1s]",
       "timeout: must be a duration such as \"1.5s\" or "
       "\"250ms\", got a list"},
      {"retry: {jitter: ful}",
       "retry.jitter: must be a name, got \"ful\"; the nearest is FULL"},
      {"retry: {jitter: 3}",
       "retry.jitter: must be a name, got \"3\"; the nearest is NONE"},
      {"retry: {jitter: UNSPECIFIED}",
       "retry.jitter: must be a name, got \"UNSPECIFIED\"; the nearest is "
       "NONE"},
      {"classification: [{code: UNAVAILBLE}]",
       "classification[0].code: must be the name or number of a status code, "
       "got \"UNAVAILBLE\"; the nearest is UNAVAILABLE"},
      {"classification: [{code: 17}]",
       "classification[0].code: must be the name or number of a status code, "
       "from 0 to 16, got \"17\""},
      {"classification: {}", "classification: must be a list, got a mapping"},
      {"classification: [3]",
       "classification[0]: must be a mapping of fields, got \"3\""},
      {"retry: 3", "retry: must be a mapping of fields, got \"3\""},
      {"retry: {max_retries: 010}",
       "retry.max_retries: must be an integer, got \"010\""},
      {"retry: {max_retries: 1.0}",
       "retry.max_retries: must be an integer, got \"1.0\""},
      {"retry: {max_retries: true}",
       "retry.max_retries: must be an integer, got \"true\""},
      {"retry: {max_retries: 3000000000}",
       "retry.max_retries: must be an integer of 32 bits, got \"3000000000\""},
      {"retry: {exponential_base: .inf}",
       "retry.exponential_base: must be a number, got \".inf\""},
      {"retry: {exponential_base: 1e999}",
       "retry.exponential_base: must be a number, got \"1e999\""},
      {"breaker: {enabled: yes}",
       "breaker.enabled: must be true or false, got \"yes\""},
      {"breaker: {enabled: \"true\"}",
       "breaker.enabled: must be true or false, got \"true\""},
      {"authority: [x]", "authority: must be text, got a list"},
  };
  for (const auto& [text, complaint] : complaints) {
    EXPECT_EQ(YamlError(absl::StrCat("default_policy: {", text, "}")),
              absl::StrCat("f:1: default_policy.", complaint));
  }
  EXPECT_EQ(JsonError(R"({"default_policy": {"authority": 1.50}})"),
            "f:1: default_policy.authority: must be text, got 1.50");
  EXPECT_EQ(JsonError(R"({"default_policy": {"retry": {"max_retries": 1e1}}})"),
            "f:1: default_policy.retry.max_retries: must be an integer, got "
            "1e1");
  EXPECT_EQ(JsonError("[]"), "f:1: must be a mapping of fields, got a list");
}

TEST(ConfigFileTest, AllThatIsWrongIsToldInTheOrderOfTheFile) {
  EXPECT_EQ(YamlError("max_methods: x\n"
                      "methods:\n"
                      "  /p.S/M: {timeout: soon}\n"
                      "retry_budget:\n"
                      "  ratio: much\n"),
            "f:1: max_methods: must be an integer, got \"x\"\n"
            "f:3: methods[/p.S/M].timeout: must be a duration such as \"1.5s\" "
            "or \"250ms\", got \"soon\"\n"
            "f:5: retry_budget.ratio: must be a number, got \"much\"");
  std::string many;
  for (int i = 0; i < 25; ++i) absl::StrAppend(&many, "x", i, ": 1\n");
  EXPECT_THAT(YamlError(many), EndsWith("\nf: and 5 more errors"));
}

TEST(ConfigFileTest, WhatIsThereTwiceIsAnErrorUnderWhicheverName) {
  EXPECT_EQ(YamlError("max_methods: 1\nmax_methods: 2"),
            "f:2: max_methods: must be there once; it was on line 1");
  EXPECT_EQ(JsonError("{\"max_methods\": 1,\n\n\"maxMethods\": 2}"),
            "f:3: max_methods: must be there once; it was on line 1");
  EXPECT_EQ(YamlError("methods:\n  /p.S/M: {}\n  \"/p.S/M\": {}"),
            "f:3: methods[/p.S/M]: must be there once; it was on line 2");
  EXPECT_THAT(TextError("max_methods: 1\nmax_methods: 2"),
              AllOf(StartsWith("f:2: "), HasSubstr("max_methods")));
  EXPECT_EQ(TextError("methods { key: \"/p.S/M\" value {} }\n"
                      "methods { key: \"/p.S/M\" value {} }"),
            "f:2: methods[/p.S/M]: must be there once; it was on line 1");
}

TEST(ConfigFileTest, LinesAreThoseOfTheFieldsInEachFormat) {
  // A number is the last thing before its line ends.
  EXPECT_EQ(JsonError("{\"retry_budget\": {\n\"ratio\":\n\n0.5\n,\n"
                      "\"max_tokens\": true}}"),
            "f:6: retry_budget.max_tokens: must be a number, got true");
  const std::string complaint =
      ": methods[/p.S/M].retry.max_retries: must be from 0 to 100, got -1";
  for (const auto& [text, format] :
       std::vector<std::pair<std::string, ConfigFormat>>{
           {"methods:\n  /p.S/M:\n    retry:\n      max_retries: -1",
            ConfigFormat::kYaml},
           {"{\"methods\":\n{\"/p.S/M\": {\n\"retry\": {\n\"max_retries\": "
            "-1}}}}",
            ConfigFormat::kJson},
           {"methods { key: \"/p.S/M\"\nvalue {\nretry {\nmax_retries: -1 } } "
            "}",
            ConfigFormat::kTextProto}}) {
    const auto file = ParseConfig(text, format, "f");
    ASSERT_TRUE(file.ok()) << file.status();
    const std::string error(file->Check().message());
    EXPECT_THAT(error, StartsWith(absl::StrCat("f:4", complaint)));
  }
}

TEST(ConfigFileTest, AnErrorOfSeveralFieldsIsOnTheLineThatHasOneOfThem) {
  EXPECT_THAT(CheckYaml("default_policy:\n  retry:\n    base_delay: 1h\n"),
              AllOf(StartsWith("f:"), HasSubstr("default_policy.retry.")));
}

TEST(ConfigFileTest, TextInNoFormatIsToldOnItsLine) {
  EXPECT_THAT(JsonError("{\"max_methods\": 1,\n}"), StartsWith("f:2: must be "
                                                               "JSON: "));
  EXPECT_THAT(JsonError(""), StartsWith("f:1: must be JSON: "));
  EXPECT_THAT(JsonError("{} {}"), StartsWith("f:1: must be JSON: "));
  EXPECT_THAT(JsonError("{} // Comment"), StartsWith("f:1: must be JSON: "));
  EXPECT_THAT(JsonError("{\"retry_budget\": {\"ratio\": NaN}}"),
              StartsWith("f:1: must be JSON: "));
  EXPECT_THAT(YamlError("a: 1\n b: [\n"), StartsWith("f:"));
  EXPECT_THAT(TextError("max_methods: 1\nstrict_methods = true"),
              StartsWith("f:2: "));
}

TEST(ConfigFileTest, BytesThatAreNotTextAreToldOnTheirLine) {
  for (const ConfigFormat format :
       {ConfigFormat::kJson, ConfigFormat::kYaml, ConfigFormat::kTextProto}) {
    EXPECT_EQ(ErrorIn(absl::string_view("# \n#\0\n", 6), format),
              "f:2: must not contain a zero byte");
    EXPECT_EQ(ErrorIn("\n\n# \xFF", format), "f:3: must be UTF-8");
    // UTF-16.
    EXPECT_EQ(ErrorIn("\xFF\xFE{", format), "f:1: must be UTF-8");
    EXPECT_EQ(ErrorIn(std::string((4 << 20) + 1, ' '), format),
              "f: must have at most 4194304 bytes, got 4194305");
  }
}

// --- YAML alone ---

TEST(ConfigFileTest, AliasesStandForWhatTheyName) {
  const config::v1::Config config = MessageOf(R"(
default_policy:
  retry: &often {max_retries: 5}
  timeout: &t 3s
  attempt_timeout: *t
methods:
  /p.S/M: {retry: *often}
)",
                                              ConfigFormat::kYaml);
  EXPECT_EQ(config.methods().at("/p.S/M").retry().max_retries(), 5);
  EXPECT_EQ(config.default_policy().attempt_timeout().seconds(), 3);
}

TEST(ConfigFileTest, AliasesCannotMakeALotOfALittle) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&bomb, "*a", i - 1, ", ");
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_THAT(YamlError(bomb), HasSubstr("must have"));
  EXPECT_EQ(YamlError("a: &x [*x]"),
            "f:1: an alias must not be within what it stands for");
}

TEST(ConfigFileTest, YamlWithWhatNoFieldCanBeIsToldOnItsLine) {
  EXPECT_EQ(YamlError("max_methods: 1\n---\nmax_methods: 2"),
            "f:2: must be one document");
  EXPECT_EQ(YamlError("\n[a]: 1"), "f:2: a key must be text, got a list");
  EXPECT_EQ(YamlError("? {a: 1}\n: 1"),
            "f:1: a key must be text, got a mapping");
  EXPECT_EQ(YamlError("~: 1"), "f:1: a key must be text, got null");
  EXPECT_EQ(YamlError("max_methods: !!binary aGk="),
            "f:1: must not have the tag tag:yaml.org,2002:binary");
}

TEST(ConfigFileTest, WhatIsNestedDeeplyIsRefused) {
  const std::string brackets(100'000, '[');
  EXPECT_THAT(JsonError(absl::StrCat("{\"a\": ", brackets)),
              HasSubstr("must be nested at most 32 deep"));
  EXPECT_THAT(YamlError(absl::StrCat("{\"a\": ", brackets)),
              StartsWith("f:1: "));
  EXPECT_THAT(YamlError(absl::StrCat("a: ", std::string(40, '['),
                                     std::string(40, ']'))),
              HasSubstr("must be nested at most 32 deep"));
  std::string dashes;
  for (int i = 0; i < 5'000; ++i) dashes += "- ";
  EXPECT_THAT(YamlError(dashes), StartsWith("f:1: must be"));
  std::string messages;
  for (int i = 0; i < 10'000; ++i) messages += "default_policy { ";
  EXPECT_THAT(TextError(messages), StartsWith("f:1: "));
}

// --- What docs/configuration.md says ---

std::string Document() {
  std::ifstream file(GRPC_BREAKER_SOURCE_DIR "/docs/configuration.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands between "```LANGUAGE" and "```".
std::vector<std::string> Blocks(const std::string& language) {
  const std::string document = Document();
  const std::string begin = absl::StrCat("\n```", language, "\n");
  std::vector<std::string> blocks;
  for (size_t at = document.find(begin); at != std::string::npos;
       at = document.find(begin, at)) {
    at += begin.size();
    blocks.push_back(document.substr(at, document.find("```", at) - at));
  }
  return blocks;
}

TEST(ConfigurationDocumentTest, ItsFilesAreRight) {
  const std::vector<std::string> files = Blocks("yaml");
  ASSERT_EQ(files.size(), 3u);
  for (const std::string& text : files) {
    const absl::StatusOr<ConfigFile> file =
        ParseConfig(text, ConfigFormat::kYaml, "f");
    ASSERT_TRUE(file.ok()) << text << file.status();
    EXPECT_TRUE(file->Check().ok()) << text << file->Check();
  }
}

TEST(ConfigurationDocumentTest, ItNamesEveryFieldOfAFile) {
  const std::string document = Document();
  const auto* type = config::v1::Config::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const std::string name(type->field(i)->name());
    EXPECT_THAT(document, HasSubstr(absl::StrCat("`", name, "`")));
  }
}

TEST(ConfigurationDocumentTest, ItsErrorsAreThoseThatAreTold) {
  const absl::StatusOr<ConfigFile> file = ParseConfig(
      "# A\n# B\ndefault_policy:\n  retry: {max_retrys: 2}\n\n\nmethods:\n"
      "  /shop.Inventory/GetStock:\n    timeout: \"5\"\n",
      ConfigFormat::kYaml, "shop.yaml");
  EXPECT_THAT(Document(),
              HasSubstr(absl::StrCat(
                  "```\n", std::string(file.status().message()), "\n```")));
}

// --- Anything at all ---

TEST(ConfigFileTest, NoMutationOfAFileDoesMoreThanFail) {
  std::string text;
  EXPECT_TRUE(google::protobuf::TextFormat::PrintToString(Filled(), &text));
  const std::string yaml = R"(%YAML 1.2
--- # Of the shop.
default_policy: &all
  timeout: !!str 2.5s
  retry: {max_retries: 3, "jitter": 'FULL'}
services: {/shop.Inventory/: *all}
methods:
  ? /shop.Inventory/GetStock
  : breaker:
      ramp: [0.1, 0.5]
    classification:
    - code: UNAVAILABLE
    authority: |
      block
    on_attempt: >-
      folded
      text
...
)";
  const std::vector<std::string> pieces = {
      "{",     "}",          "[",        "]",      ":",     ": ", ",",
      "\"",    "'",          "#",        "&a ",    "*a",    "!",  "|",
      ">",     "-",          "- ",       "?",      "\n",    "\t", "\\",
      "<",     "\r\n",       "\xC3\xA4", "null",   "1e999", "-",  "---\n",
      "...\n", "%TAG ! x\n", "!!x ",     "\\u0000"};
  std::mt19937 random(20261129);
  const auto below = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  int valid = 0;
  int total = 0;
  for (const auto& [seed, format] :
       std::vector<std::pair<std::string, ConfigFormat>>{
           {JsonOf(Filled(), true), ConfigFormat::kJson},
           {yaml, ConfigFormat::kYaml},
           {text, ConfigFormat::kTextProto}}) {
    for (int i = 0; i < 2'000; ++i) {
      std::string mutant = seed;
      const size_t changes = 1 + below(4);
      for (size_t change = 0; change < changes && !mutant.empty(); ++change) {
        const size_t at = below(mutant.size());
        switch (below(5)) {
          case 0:
            mutant[at] = static_cast<char>(below(256));
            break;
          case 1:
            mutant.erase(at, 1 + below(20));
            break;
          case 2:
            mutant.insert(at, pieces[below(pieces.size())]);
            break;
          case 3:
            mutant.insert(at, mutant.substr(below(mutant.size()), below(60)));
            break;
          default:
            mutant.resize(at);
        }
      }
      ++total;
      const absl::StatusOr<ConfigFile> file =
          ParseConfig(mutant, format, "mutant");
      if (file.ok()) {
        ++valid;
        static_cast<void>(file->Check());
        continue;
      }
      EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(file.status().message()), StartsWith("mutant:"))
          << mutant;
    }
  }
  // Else nothing that is worth it was tried.
  EXPECT_GT(valid, total / 50);
  EXPECT_LT(valid, total / 2);
}

// --- Options ---

class ConfigFileOptionsTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv(kConfigFileVariable); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(::testing::TempDir(), "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
};

TEST_F(ConfigFileOptionsTest, TheEndingSaysWhichFormatAFileHas) {
  for (const char* name :
       {"c.yaml", "c.yml", "c.txtpb", "c.textproto", "c.pbtxt"}) {
    const auto file = LoadConfigFile(Write(name, "max_methods: 7"));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->message().max_methods(), 7);
  }
  const auto json = LoadConfigFile(Write("c.json", "{\"max_methods\": 7}"));
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->message().max_methods(), 7);
  EXPECT_EQ(LoadConfigFile("/etc/shop.conf").status(),
            absl::InvalidArgumentError(
                "/etc/shop.conf: must end in .json, .yaml, .yml, .txtpb, "
                ".textproto or .pbtxt"));
}

TEST_F(ConfigFileOptionsTest, AFileThatCannotBeReadIsToldByItsPath) {
  const absl::Status missing = LoadConfigFile("/none/c.yaml").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), StartsWith("/none/c.yaml: "));
  const std::string folder = absl::StrCat(::testing::TempDir(), "/d.yaml");
  std::system(absl::StrCat("mkdir -p '", folder, "'").c_str());
  EXPECT_THAT(std::string(LoadConfigFile(folder).status().message()),
              StartsWith(folder));
}

TEST_F(ConfigFileOptionsTest, TheVariableNamesTheFileUnlessTheApplicationDoes) {
  const std::string seven = Write("seven.yaml", "max_methods: 7");
  const std::string eight = Write("eight.yaml", "max_methods: 8");
  unsetenv(kConfigFileVariable);
  EXPECT_EQ(OptionsFromConfigFile(Options())->max_methods,
            Options().max_methods);
  setenv(kConfigFileVariable, "", 1);
  EXPECT_EQ(OptionsFromConfigFile(Options())->max_methods,
            Options().max_methods);
  setenv(kConfigFileVariable, seven.c_str(), 1);
  EXPECT_EQ(OptionsFromConfigFile(Options())->max_methods, 7);
  EXPECT_EQ(OptionsFromConfigFile(Options(), {}, eight)->max_methods, 8);
}

TEST_F(ConfigFileOptionsTest, WhatCannotBeReadAndWhatIsOutOfRangeIsToldAtOnce) {
  const std::string path =
      Write("wrong.yaml", "default_policy:\n  timeout: soon\nmax_methods: 0\n");
  const absl::Status status = OptionsFromConfigFile({}, {}, path).status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("wrong.yaml:2: default_policy.timeout: must be"),
                    HasSubstr("wrong.yaml:3: max_methods: must be")));
}

TEST_F(ConfigFileOptionsTest, FunctionsAreBoundByName) {
  const auto file = ParseConfig(
      "default_policy:\n  fallback: {name: cache, on_rejection: false}\n",
      ConfigFormat::kYaml, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Check().ok()) << file->Check();
  Options options;
  EXPECT_THAT(std::string(file->ApplyTo(&options).message()),
              StartsWith("f:2: default_policy.fallback.name: must be "));
  EXPECT_EQ(options.default_policy.fallback.function, nullptr);
  NamedFunctions functions;
  functions.fallbacks["cache"] = Fallback::Fixed(grpc::Status::OK, "cached");
  ASSERT_TRUE(file->ApplyTo(&options, functions).ok());
  EXPECT_EQ(options.default_policy.fallback.function({}).reply, "cached");
  EXPECT_FALSE(options.default_policy.fallback.on_rejection);
}

TEST_F(ConfigFileOptionsTest, AFileThatIsWrongLeavesOptionsAlone) {
  Options options;
  const auto file =
      ParseConfig("default_policy: {timeout: 1s}\nmax_methods: -1",
                  ConfigFormat::kYaml, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE(file->ApplyTo(&options).ok());
  EXPECT_EQ(options.default_policy.timeout, std::nullopt);
  EXPECT_EQ(options.max_methods, Options().max_methods);
}

TEST_F(ConfigFileOptionsTest, TheHashIsOfTheTextAlone) {
  const auto hash = [](absl::string_view text, const std::string& name) {
    return ParseConfig(text, ConfigFormat::kYaml, name)->hash();
  };
  // The test vector of FNV-1a for the empty text.
  EXPECT_EQ(hash("", "a"), "cbf29ce484222325");
  EXPECT_EQ(hash("max_methods: 1", "a"), hash("max_methods: 1", "b"));
  EXPECT_NE(hash("max_methods: 1", "a"), hash("max_methods: 2", "a"));
}

}  // namespace
}  // namespace grpc_breaker
