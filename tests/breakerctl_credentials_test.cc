// Speaks to a server that wants to know who it is, with the real breakerctl.

#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/security/server_credentials.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"
#include "tests/certificates.h"

namespace grpc_breaker {
namespace {

using ::testing::HasSubstr;

constexpr char kToken[] = "0123456789abcdef";

class BreakerctlCredentialsTest : public BreakerctlFixture {
 protected:
  BreakerctlCredentialsTest() : channel_(MakeChannel("a")) {
    channel_->FindOrCreate("/pkg.S/M");
    ca_ = Write("ca.pem", certificates::kAuthority);
    alice_ = Write("alice.pem", certificates::kAlice);
    alice_key_ = Write("alice.key", certificates::kAliceKey);
    bob_ = Write("bob.pem", certificates::kBob);
    bob_key_ = Write("bob.key", certificates::kBobKey);
    token_ = Write("token", absl::StrCat(kToken, "\n"));
  }

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = absl::StrCat(path_, "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // A server that speaks TLS and asks for certificates, as it is said.
  void ServeTls(AdminServerOptions options,
                grpc_ssl_client_certificate_request_type request =
                    GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
                const std::string& address = "127.0.0.1:0") {
    grpc::SslServerCredentialsOptions tls(request);
    tls.pem_root_certs = certificates::kAuthority;
    tls.pem_key_cert_pairs = {
        {certificates::kServerKey, certificates::kServer}};
    options.credentials = grpc::SslServerCredentials(tls);
    server_ = Serve(address, std::move(options));
  }
  void ServeTlsFor(std::set<std::string> names) {
    AdminServerOptions options;
    options.authorizer = AllowCertificates(std::move(names));
    options.authorize_reads = true;
    ServeTls(std::move(options));
  }

  // Of the server's side, and of one's own.
  std::vector<std::string> Trust() const {
    return {"--cacert=" + ca_, "--server-name=admin.test"};
  }
  std::vector<std::string> As(const std::string& certificate,
                              const std::string& key) const {
    std::vector<std::string> flags = Trust();
    flags.insert(flags.end(), {"--cert=" + certificate, "--key=" + key});
    return flags;
  }

  Result RunWith(std::vector<std::string> flags,
                 const std::vector<std::string>& words) {
    flags.insert(flags.begin(), words.begin(), words.end());
    return Run(std::move(flags));
  }

  std::shared_ptr<Registry> channel_;
  std::string ca_, alice_, alice_key_, bob_, bob_key_, token_;
};

TEST_F(BreakerctlCredentialsTest, WhoHasACertificateIsKnownByItsName) {
  ServeTlsFor({"spiffe://test/alice", "bob"});
  const Result alice = RunWith(As(alice_, alice_key_), {"open", "/pkg.S/M"});
  EXPECT_EQ(alice.code, 0) << alice.errors;
  EXPECT_THAT(alice.output, HasSubstr(" spiffe://test/alice "));
  EXPECT_THAT(alice.output, ::testing::Not(HasSubstr("(claimed)")));
  const Result bob = RunWith(As(bob_, bob_key_), {"open", "/pkg.S/M"});
  EXPECT_THAT(bob.output, HasSubstr(" bob "));
  EXPECT_EQ(RunWith(As(bob_, bob_key_), {"list"}).code, 0);
}

TEST_F(BreakerctlCredentialsTest, OtherNamesMayNothing) {
  // The common name of who has alternative names is not looked at.
  ServeTlsFor({"spiffe://test/alic", "spiffe://test/alice/x", "not-alice"});
  for (const char* command : {"open", "get"}) {
    const Result result =
        RunWith(As(alice_, alice_key_), {command, "/pkg.S/M"});
    EXPECT_EQ(result.code, 6) << result.output;
    EXPECT_THAT(result.errors, HasSubstr("no name of the certificate"));
  }
}

TEST_F(BreakerctlCredentialsTest, CertificatesOfOthersDoNotGetIn) {
  ServeTlsFor({"bob"});
  const std::string other = Write("other.pem", certificates::kOtherBob);
  const std::string key = Write("other.key", certificates::kOtherBobKey);
  for (std::vector<std::string> flags : {As(other, key), Trust()}) {
    flags.insert(flags.end(), {"list", "--timeout=2s"});
    const Result result = RunAsIs(flags, server_->address());
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.errors, HasSubstr(server_->address()));
  }
}

TEST_F(BreakerctlCredentialsTest, WithoutACertificateOneIsNobody) {
  AdminServerOptions options;
  options.authorizer = AllowCertificates({"bob", ""});
  ServeTls(options, GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  EXPECT_EQ(RunWith(Trust(), {"list"}).code, 0);
  const Result result = RunWith(Trust(), {"open", "/pkg.S/M"});
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.errors, HasSubstr("there must be a client certificate"));
  EXPECT_EQ(RunWith(As(bob_, bob_key_), {"open", "/pkg.S/M"}).code, 0);

  // Nor is who comes without TLS, whatever credentials there call an identity.
  server_ = Serve("unix:" + path_ + "/plain", options);
  EXPECT_EQ(Run({"open", "/pkg.S/M"}).code, 6);
}

TEST_F(BreakerctlCredentialsTest, TheServerMustBeWhoItIsTakenFor) {
  ServeTls(AdminServerOptions(), GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  const auto list = [this](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"list", "--timeout=2s"});
    return RunAsIs(flags, server_->address()).code;
  };
  EXPECT_EQ(list({"--cacert=" + ca_, "--server-name=admin.test"}), 0);
  EXPECT_EQ(list({"--cacert=" + ca_}), 1);
  EXPECT_EQ(list({"--cacert=" + ca_, "--server-name=admin.tests"}), 1);
  EXPECT_EQ(list({"--tls", "--server-name=admin.test"}), 1)
      << "by the system's authorities";
  EXPECT_EQ(list({}), 1);
}

TEST_F(BreakerctlCredentialsTest, ASocketCanHaveTlsAsWell) {
  AdminServerOptions options;
  options.authorizer = AllowCertificates({"bob"});
  ServeTls(std::move(options),
           GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
           "unix:" + path_ + "/tls");
  const Result result = RunWith(As(bob_, bob_key_), {"open", "/pkg.S/M"});
  EXPECT_EQ(result.code, 0) << result.errors;
}

TEST_F(BreakerctlCredentialsTest, WithCredentialsOthersMayReachTheServer) {
  AdminServerOptions options;
  options.directory = &directory_;
  EXPECT_EQ(AdminServer::Start("0.0.0.0:0", options).status().code(),
            absl::StatusCode::kInvalidArgument);
  ServeTls(options, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, "0.0.0.0:0");
  const std::string& address = server_->address();
  const std::string port = address.substr(address.rfind(':'));
  std::vector<std::string> flags = Trust();
  flags.insert(flags.end(), {"list", "--timeout=60s"});
  EXPECT_EQ(RunAsIs(flags, "127.0.0.1" + port).code, 0);
}

TEST_F(BreakerctlCredentialsTest, SendsATokenWhereNobodyElseCanReadIt) {
  AdminServerOptions options;
  options.authorizer = AllowBearerTokens({{"carol", token_}});
  options.authorize_reads = true;
  const std::string token = "--token-file=" + token_;
  for (const std::string& address :
       {"unix:" + path_ + "/tokens", std::string("127.0.0.1:0")}) {
    server_ = Serve(address, options);
    const Result result = Run({"open", "/pkg.S/M", token});
    EXPECT_EQ(result.code, 0) << result.errors;
    EXPECT_THAT(result.output, HasSubstr(" carol "));
    EXPECT_EQ(Run({"open", "/pkg.S/M"}).code, 6);
    EXPECT_EQ(Run({"list", token}).code, 0);
    EXPECT_EQ(Run({"channels", token}).code, 0);
    EXPECT_EQ(Run({"config", "init", token}).code, 0);
    EXPECT_EQ(Run({"watch"}).code, 6);
    Process watch({"watch", token, "--timeout=60s"}, server_->address());
    EXPECT_THAT(watch.ReadLine(), HasSubstr("SNAPSHOT a /pkg.S/M"));
  }
  ServeTls(options, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  EXPECT_EQ(RunWith(Trust(), {"list", token}).code, 0);
}

TEST_F(BreakerctlCredentialsTest, KeepsATokenFromTravellingInTheClear) {
  for (const char* command : {"list", "watch", "events"}) {
    const Result result =
        RunAsIs({command, "--token-file=" + token_, "--address=192.0.2.1:9"});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.errors,
              "breakerctl: --token-file: the token would travel to 192.0.2.1:9 "
              "in the clear: use TLS (--tls, --cacert, --cert)\n");
  }
  EXPECT_EQ(RunAsIs({"list", "--tls", "--token-file=" + token_,
                     "--address=192.0.2.1:9", "--timeout=100ms"})
                .code,
            1);
}

TEST_F(BreakerctlCredentialsTest, FilesMayBeNamedByVariables) {
  AdminServerOptions options;
  options.authorizer = AllowBearerTokens({{"carol", token_}});
  options.authorize_reads = true;
  ServeTls(options);
  const Result result = RunAsIs(
      {"list", "--server-name=admin.test", "--timeout=60s"},
      Process::Surroundings{
          {"BREAKERCTL_ADDRESS=" + server_->address(),
           "BREAKERCTL_CACERT=" + ca_, "BREAKERCTL_CERT=" + bob_,
           "BREAKERCTL_KEY=" + bob_key_, "BREAKERCTL_TOKEN_FILE=" + token_},
          0});
  EXPECT_EQ(result.code, 0) << result.errors;
}

TEST_F(BreakerctlCredentialsTest, ExitsWith2WhereAFileIsNotWhatItMustBe) {
  const std::string two = Write("two", "first\nsecond\n");
  const std::string blank = Write("blank", " \n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--cacert=" + path_ + "/missing"}, "--cacert: cannot read"},
      {{"--cacert=" + path_}, "--cacert: cannot read " + path_ + ": Is a"},
      {{"--cacert=/dev/null"}, "--cacert: /dev/null is empty"},
      {{"--cert=" + bob_}, "--cert requires --key"},
      {{"--key=" + bob_key_}, "--key requires --cert"},
      {{"--token-file=" + two}, "--token-file: must hold a token"},
      {{"--token-file=" + blank}, "--token-file: must hold a token"},
      {{"--token-file="}, "--token-file: cannot read"},
  };
  for (const auto& [flags, message] : cases) {
    const Result result = RunWith(flags, {"list"});
    EXPECT_EQ(result.code, 2) << message;
    EXPECT_THAT(result.errors, HasSubstr(message));
  }
}

}  // namespace
}  // namespace grpc_breaker
