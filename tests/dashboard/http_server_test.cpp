#include "dashboard/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "dashboard/http_routes.h"

namespace troupe::dashboard {
namespace {

using boost::asio::ip::tcp;

class HttpServerTest : public ::testing::Test {
 protected:
  MetricsHub hub_{{.name = "test-run", .folder = "runs/test-run", .steps = 10, .workers = 2, .epoch = 1}};
  DashboardOptions options_{
      .enabled = true, .address = "127.0.0.1", .port = 0, .token_file = {}, .host_names = {}};
  HttpServer server_{options_, false, {&hub_}};
  boost::asio::io_context context_;

  tcp::socket connect() {
    tcp::socket socket(context_);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), server_.port()});
    return socket;
  }
  static std::string read_all(tcp::socket& socket) {
    std::string text;
    boost::system::error_code error;
    boost::asio::read(socket, boost::asio::dynamic_buffer(text), error);
    return text;
  }
  std::string ask(const std::string& method, const std::string& path, const std::string& host = "localhost") {
    tcp::socket socket = connect();
    boost::asio::write(socket,
                       boost::asio::buffer(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
    return read_all(socket);
  }
  static std::string body(const std::string& response) {
    return response.substr(response.find("\r\n\r\n") + 4);
  }
};

TEST_F(HttpServerTest, ServesThePageWithItsSecurityHeaders) {
  const std::string response = ask("GET", "/");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response.substr(0, 80);
  EXPECT_NE(response.find("Content-Security-Policy: default-src 'self'; frame-ancestors 'none'"),
            std::string::npos);
  EXPECT_NE(response.find("X-Content-Type-Options: nosniff"), std::string::npos);
  EXPECT_NE(response.find("<title>Troupe</title>"), std::string::npos);
}

TEST_F(HttpServerTest, ServesEveryFileThatThePageAsksFor) {
  const std::string page = body(ask("GET", "/"));
  const std::regex link("(?:src|href)=\"([^\"]+)\"");
  int files = 0;
  for (std::sregex_iterator found(page.begin(), page.end(), link), end; found != end; ++found, ++files) {
    const std::string path = "/" + (*found)[1].str();
    EXPECT_TRUE(ask("GET", path).starts_with("HTTP/1.1 200")) << path;
  }
  EXPECT_GE(files, 4);
}

TEST_F(HttpServerTest, StateIsJson) {
  const auto state = nlohmann::json::parse(body(ask("GET", "/api/state")));
  EXPECT_EQ(state["run"]["name"], "test-run");
}

TEST_F(HttpServerTest, EveryRunHasItsPaths) {
  MetricsHub other({.name = "other", .folder = {}, .steps = 5, .workers = 1, .epoch = 0}, 1);
  const HubList runs{&hub_, &other};
  EXPECT_EQ(nlohmann::json::parse(route("/api/runs", runs, false).body),
            nlohmann::json({{{"number", 0}, {"name", "test-run"}}, {{"number", 1}, {"name", "other"}}}));
  EXPECT_EQ(nlohmann::json::parse(route("/api/runs/1/state", runs, false).body)["run"]["name"], "other");
  for (const char* path : {"/api/runs/2/state", "/api/runs/x/state", "/api/runs/-1/state", "/api/runs/1",
                           "/api/runs/1/nothing", "/api/runs/99999999999999999999/state", "/metrics"}) {
    EXPECT_EQ(route(path, runs, false).status, 404) << path;
  }
}

TEST_F(HttpServerTest, RefusesOtherHostsMethodsAndPaths) {
  EXPECT_TRUE(ask("GET", "/", "evil.example").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(ask("POST", "/").starts_with("HTTP/1.1 405"));
  EXPECT_TRUE(ask("GET", "/../../etc/passwd").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(
      ask("GET", "/api/state", "localhost:" + std::to_string(server_.port())).starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ClosesOnARequestThatIsTooLongOrNotHttp) {
  tcp::socket socket = connect();
  boost::system::error_code error;
  boost::asio::write(socket, boost::asio::buffer("GET /" + std::string(20000, 'a') + " HTTP/1.1\r\n"), error);
  EXPECT_EQ(read_all(socket), "");
  tcp::socket garbage = connect();
  boost::asio::write(garbage, boost::asio::buffer(std::string("\x16\x03\x01 nonsense\r\n\r\n")), error);
  EXPECT_EQ(read_all(garbage), "");
  EXPECT_TRUE(ask("GET", "/").starts_with("HTTP/1.1 200")) << "the server lives";
}

TEST_F(HttpServerTest, EventsArriveAsTheyAreRecorded) {
  tcp::socket socket = connect();
  boost::asio::write(socket,
                     boost::asio::buffer(std::string("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")));
  std::string text;
  boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), "retry: 2000\n\n");
  for (int step = 1; step <= 3; ++step) {
    hub_.record(
        StepRecord{.time = 0, .step = step, .tokens = 64 * step, .metrics = {{"loss", 2.0}}, .layers = {}});
  }
  boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), "\"step\":3");
  EXPECT_NE(text.find("event: step\ndata: {"), std::string::npos);
}

TEST_F(HttpServerTest, TheStreamAfterTheLastIsRefusedAndEverythingElseGoesOn) {
  const std::string request = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<tcp::socket> readers;
  for (int i = 0; i < 64; ++i) {
    readers.push_back(connect());
    boost::asio::write(readers.back(), boost::asio::buffer(request));
    std::string text;
    boost::asio::read_until(readers.back(), boost::asio::dynamic_buffer(text), "retry: 2000\n\n");
  }
  EXPECT_TRUE(ask("GET", "/api/events").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(ask("GET", "/").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(ask("GET", "/api/state").starts_with("HTTP/1.1 200"));
  hub_.note("info", "still told");
  std::string text;
  boost::asio::read_until(readers[63], boost::asio::dynamic_buffer(text), "still told");
  readers.clear();
  for (int tries = 0; tries < 1000; ++tries) {  // until the server has seen that they left
    tcp::socket next = connect();
    boost::asio::write(next, boost::asio::buffer(request));
    std::string head;
    boost::asio::read_until(next, boost::asio::dynamic_buffer(head), "\r\n");
    if (head.starts_with("HTTP/1.1 200")) return;
  }
  FAIL() << "who leaves makes no room";
}

TEST_F(HttpServerTest, ASecondServerTakesTheNextFreePort) {
  DashboardOptions same = options_;
  same.port = server_.port();
  MetricsHub other{{.name = "other", .folder = "", .steps = 1, .workers = 1, .epoch = 1}};
  const HttpServer second(same, false, {&other});
  EXPECT_GT(second.port(), server_.port());
  EXPECT_LE(second.port(), server_.port() + 99);
}

TEST_F(HttpServerTest, RefusesAnAddressThatOthersCanReachWithoutAToken) {
  DashboardOptions open = options_;
  open.address = "0.0.0.0";
  EXPECT_THROW(HttpServer(open, false, {&hub_}), Error);
}

TEST(HttpServer, BeyondLoopbackEveryPathAsksForTheToken) {
  const std::string token(64, 'a');
  MetricsHub hub{{.name = "test-run", .folder = "", .steps = 1, .workers = 1, .epoch = 1}};
  const HttpServer server(
      {.enabled = true, .address = "0.0.0.0", .port = 0, .token_file = {}, .host_names = {}}, false, {&hub},
      token);
  boost::asio::io_context context;
  const auto ask = [&](const std::string& path, const std::string& header) {
    tcp::socket socket(context);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), server.port()});
    boost::asio::write(
        socket, boost::asio::buffer("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n"));
    std::string head;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(head), "\r\n\r\n");
    return head;
  };
  const std::string bearer = "Authorization: Bearer " + token + "\r\n";
  const std::string cookie = "Cookie: troupe_" + std::to_string(server.port()) + "=" + token + "\r\n";
  for (const char* path : {"/", "/metrics", "/api/state", "/api/events"}) {
    EXPECT_TRUE(ask(path, "").starts_with("HTTP/1.1 401")) << path;
    EXPECT_TRUE(ask(path, bearer).starts_with("HTTP/1.1 200")) << path;
    EXPECT_TRUE(ask(path, cookie).starts_with("HTTP/1.1 200")) << path;
  }
  const std::string step = ask("/?token=" + token, "");
  EXPECT_TRUE(step.starts_with("HTTP/1.1 303")) << step;
  EXPECT_NE(step.find("Set-Cookie: troupe_"), std::string::npos) << step;
  EXPECT_EQ(server.url().find("0.0.0.0"), std::string::npos) << server.url();
}

TEST_F(HttpServerTest, WhoSaysNothingOrReadsNothingGivesWayToWhoAsks) {
  tcp::socket reader = connect();
  boost::asio::write(reader,
                     boost::asio::buffer(std::string("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")));
  std::string events;
  boost::asio::read_until(reader, boost::asio::dynamic_buffer(events), "retry: 2000\n\n");
  std::vector<tcp::socket> idle;
  for (int i = 0; i < 400; ++i) {
    idle.push_back(connect());
    boost::system::error_code ignored;
    const std::string said = i % 2 == 0 ? "GET / HTTP" : "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    boost::asio::write(idle.back(), boost::asio::buffer(said), ignored);
  }
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(ask("GET", "/api/state").starts_with("HTTP/1.1 200"));
  hub_.note("info", "still told");
  boost::asio::read_until(reader, boost::asio::dynamic_buffer(events), "still told");
}

}  // namespace
}  // namespace troupe::dashboard
