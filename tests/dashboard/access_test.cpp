#include "dashboard/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/network.h"
#include "tests/scratch_folder.h"

namespace troupe::dashboard {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::Pair;

const std::string kToken(64, 'a');
const std::string kWrong = std::string(63, 'a') + "b";

AccessRules loopback_rules(const std::string& token = "") {
  return access_rules(
      {.enabled = true, .address = "127.0.0.1", .port = 0, .token_file = {}, .host_names = {}}, 80, token);
}

Query query(const std::string& target = "/") {
  return {.is_get = true, .target = target, .host = "localhost", .authorization = "", .cookie = ""};
}

TEST(Access, OnLoopbackOnlyLoopbackNamesAreAnswered) {
  const AccessRules rules = loopback_rules();
  for (const char* host : {"127.0.0.1:80", "127.0.0.1", "[::1]", "LocalHost:80"})
    EXPECT_TRUE(allowed_host(host, rules)) << host;
  for (const char* host :
       {"127.0.0.1:81", "127.0.0.1.evil.example", "evil.example", "", "localhost:80:80", "10.0.0.1"})
    EXPECT_FALSE(allowed_host(host, rules)) << host;
}

TEST(Access, BeyondLoopbackTheMachinesAddressesAndGivenNamesAreAnsweredToo) {
  DashboardOptions options;
  options.address = "0.0.0.0";
  options.host_names = {"Training.Example.org"};
  const AccessRules rules = access_rules(options, 8787, kToken);
  EXPECT_TRUE(allowed_host("training.example.org:8787", rules));
  for (const std::string& address : own_addresses()) {
    const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
    EXPECT_TRUE(allowed_host(host + ":8787", rules)) << host;
  }
  EXPECT_FALSE(allowed_host("evil.example:8787", rules));
}

TEST(Access, WithoutTheTokenNoPathIsAnswered) {
  const AccessRules rules = loopback_rules(kToken);
  for (const char* path : {"/", "/metrics", "/api/events", "/api/state", "/page.js", "/nothing"}) {
    const Answer answer = admit(query(path), rules);
    EXPECT_EQ(answer.status, 401) << path;
    EXPECT_THAT(answer.headers, Contains(Pair("WWW-Authenticate", "Bearer realm=\"troupe\"")));
    EXPECT_EQ(answer.body.find(kToken), std::string::npos);
  }
}

TEST(Access, TheTokenComesInAHeaderOrInThisServersCookie) {
  const AccessRules rules = loopback_rules(kToken);
  const auto status_with = [&](const std::string& authorization, const std::string& cookie) {
    Query asked = query("/metrics");
    asked.authorization = authorization;
    asked.cookie = cookie;
    return admit(asked, rules).status;
  };
  EXPECT_EQ(status_with("Bearer " + kToken, ""), 200);
  EXPECT_EQ(status_with("", "troupe_80=" + kToken), 200);
  EXPECT_EQ(status_with("", "a=1; troupe_80=" + kToken + "; b=2"), 200);
  for (const std::string& wrong :
       {std::string("Bearer "), std::string("Bearer"), "Bearer " + kWrong, "Bearer " + kToken + "a",
        "Basic " + kToken, kToken, "Bearer " + kToken.substr(1)})
    EXPECT_EQ(status_with(wrong, ""), 401) << wrong;
  for (const std::string& wrong : {"troupe_81=" + kToken, "troupe_80=" + kWrong, "troupe_80x=" + kToken,
                                   "troupe_80" + kToken, std::string("troupe_80="), ";;;" + kToken})
    EXPECT_EQ(status_with("", wrong), 401) << wrong;
}

TEST(Access, ABrowserTradesTheTokenOfItsAddressForACookie) {
  const AccessRules rules = loopback_rules(kToken);
  const Answer answer = admit(query("/?token=" + kToken), rules);
  EXPECT_EQ(answer.status, 303);
  EXPECT_THAT(answer.headers, Contains(Pair("Location", "./")));
  EXPECT_THAT(answer.headers,
              Contains(Pair("Set-Cookie", "troupe_80=" + kToken + "; Path=/; HttpOnly; SameSite=Strict")));
  for (const std::string& target : {"/?token=" + kWrong, std::string("/?token="), "/?x=1&token=" + kToken,
                                    "//evil.example/?token=" + kToken, "/metrics?token=" + kToken})
    EXPECT_EQ(admit(query(target), rules).status, 401) << target;
}

TEST(Access, ATokenDoesNotOpenOtherNamesOrMethods) {
  const AccessRules rules = loopback_rules(kToken);
  Query asked = query();
  asked.authorization = "Bearer " + kToken;
  asked.host = "evil.example";
  EXPECT_EQ(admit(asked, rules).status, 403);
  asked.host = "localhost";
  asked.is_get = false;
  EXPECT_EQ(admit(asked, rules).status, 405);
}

TEST(Access, ATokenIsNeededWhereOthersCanReachThePageOrAFileIsNamed) {
  DashboardOptions options;
  EXPECT_FALSE(needs_token(options));
  options.token_file = "token";
  EXPECT_TRUE(needs_token(options));
  options.token_file.reset();
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1"}) {
    options.address = address;
    EXPECT_TRUE(needs_token(options)) << address;
  }
}

class TokenFile : public ::testing::Test {
 protected:
  void write(const std::string& text, fs::perms mode = fs::perms::owner_read | fs::perms::owner_write) {
    std::ofstream(file_) << text;
    fs::permissions(file_, mode);
  }
  test::ScratchFolder folder_;
  fs::path file_ = folder_ / "token";
};

TEST_F(TokenFile, IsMadeForItsOwnerAloneAndKept) {
  const std::string token = read_or_make_token(file_);
  EXPECT_EQ(token.size(), 64U);
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(read_or_make_token(file_), token);
}

TEST_F(TokenFile, IsRefusedWhereOthersMayReadItOrItIsTooWeak) {
  write(kToken + "\n");
  EXPECT_EQ(read_or_make_token(file_), kToken);
  fs::permissions(file_, fs::perms::others_read, fs::perm_options::add);
  EXPECT_THROW((void)read_or_make_token(file_), Error);
  for (const std::string& weak : {std::string("secret"), std::string(), std::string(64, 'g'), kToken + kToken,
                                  kToken + "\n\n", std::string(1 << 20, 'a')}) {
    fs::remove(file_);
    write(weak);
    EXPECT_THROW((void)read_or_make_token(file_), Error) << weak.substr(0, 100);
  }
}

}  // namespace
}  // namespace troupe::dashboard
