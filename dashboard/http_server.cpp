#include "dashboard/http_server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <limits>
#include <list>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/network.h"
#include "dashboard/access.h"
#include "dashboard/http_session.h"

namespace troupe::dashboard {
namespace {

using boost::asio::ip::tcp;
constexpr int kConnections = HttpSession::kMostStreams + 64;
constexpr unsigned kNextPorts = 99;  // tried after the one that was asked for

/// Throws kConfig.
tcp::endpoint endpoint_of(const DashboardOptions& options, const std::string& token) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.address, error);
  if (error) throw Error(ErrorCode::kConfig, "dashboard.address {} is no IP address", options.address);
  if (needs_token(options) && token.empty()) {
    throw Error(ErrorCode::kConfig,
                "dashboard.address {}: others can reach it, so that the page needs a token", options.address);
  }
  return {address, static_cast<std::uint16_t>(options.port)};
}

}  // namespace

class HttpServer::Implementation {
 public:
  Implementation(const DashboardOptions& options, bool per_expert_metrics, HubList runs, std::string token)
      : runs_(std::move(runs)), per_expert_metrics_(per_expert_metrics), acceptor_(context_) {
    listen(endpoint_of(options, token));
    access_ = access_rules(options, endpoint_.port(), std::move(token));
    accept();
    for (MetricsHub* hub : runs_)
      hub->set_listener([this] { boost::asio::post(context_, [this] { wake_all(); }); });
    thread_ = std::thread([this] { run(); });
  }

  ~Implementation() {
    for (MetricsHub* hub : runs_) hub->set_listener({});
    boost::asio::post(context_, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      for (const auto& session : sessions_) {
        if (const auto alive = session.lock()) alive->close();
      }
      context_.stop();
    });
    thread_.join();
  }

  [[nodiscard]] tcp::endpoint endpoint() const { return endpoint_; }

 private:
  /// Another run may have the port: then the next free one.
  void listen(const tcp::endpoint& endpoint) {
    auto error = try_listen(endpoint);
    const unsigned asked = endpoint.port();
    for (unsigned next = asked + 1;
         error == boost::asio::error::address_in_use && next <= asked + kNextPorts &&
         next <= std::numeric_limits<std::uint16_t>::max();
         ++next) {
      error = try_listen({endpoint.address(), static_cast<std::uint16_t>(next)});
    }
    if (error) {
      throw Error(
          ErrorCode::kIo,
          "the dashboard cannot listen on {}:{}: {}; choose another port (--set dashboard.port=0 takes any "
          "free one) or switch it off (--set dashboard.enabled=false)",
          endpoint.address().to_string(), endpoint.port(), error.message());
    }
    endpoint_ = acceptor_.local_endpoint();
  }

  boost::system::error_code try_listen(const tcp::endpoint& endpoint) {
    boost::system::error_code error;
    acceptor_ = tcp::acceptor(context_);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kConnections, error);
    return error;
  }

  void run() {
    try {
      context_.run();
    } catch (const std::exception& error) {  // training goes on without a page
      log::error("the dashboard stopped: {}", error.what());
    }
  }

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == boost::asio::error::operation_aborted) return;
      if (!error && (connections_ < kConnections || make_room())) start_session(std::move(socket));
      accept();
    });
  }

  /// Who has kept a request or an answer waiting longest gives way to who comes; it has a moment for what
  /// takes others less, however many keep connections open.
  bool make_room() {
    const auto gives_way = std::ranges::find_if(sessions_, [](const auto& session) {
      const auto alive = session.lock();
      return alive && !alive->is_stream();
    });
    if (gives_way == sessions_.end()) return false;
    if (const auto alive = gives_way->lock()) alive->close();
    sessions_.erase(gives_way);
    return true;
  }

  void start_session(tcp::socket socket) {
    forget_ended();
    ++connections_;
    const auto session = make_http_session(std::move(socket), {.runs = runs_,
                                                               .access = access_,
                                                               .per_expert_metrics = per_expert_metrics_,
                                                               .streams = streams_,
                                                               .on_close = [this] { --connections_; }});
    sessions_.push_back(session);
    session->start();
  }

  void forget_ended() {
    sessions_.remove_if([](const auto& session) { return session.expired(); });
  }

  void wake_all() {
    forget_ended();
    for (const auto& session : sessions_) {
      if (const auto alive = session.lock()) alive->wake();
    }
  }

  HubList runs_;
  bool per_expert_metrics_;
  AccessRules access_;
  int connections_ = 0;
  int streams_ = 0;
  std::list<std::weak_ptr<HttpSession>> sessions_;
  boost::asio::io_context context_{1};
  tcp::acceptor acceptor_;
  tcp::endpoint endpoint_;
  std::thread thread_;
};

HttpServer::HttpServer(const DashboardOptions& options, bool per_expert_metrics, HubList runs,
                       std::string token)
    : implementation_(
          std::make_unique<Implementation>(options, per_expert_metrics, std::move(runs), std::move(token))) {}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return implementation_->endpoint().port(); }

std::string HttpServer::url() const {
  const auto endpoint = implementation_->endpoint();
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_unspecified()) host = own_addresses().front();
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return "http://" + host + ":" + std::to_string(endpoint.port()) + "/";
}

}  // namespace troupe::dashboard
