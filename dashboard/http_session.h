#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include "dashboard/access.h"
#include "dashboard/metrics_hub.h"

namespace troupe::dashboard {

/// One HTTP connection: one request, one answer or a stream of events, then it closes. Runs on the
/// server's thread; shared, because its pending operations keep it alive.
class HttpSession {
 public:
  /// Streams of events at once. They stay open, so there are fewer of them than connections: the page itself
  /// is served, and the next stream told why it is not, however many people watch.
  static constexpr int kMostStreams = 64;

  struct Context {
    const HubList& runs;
    const AccessRules& access;
    bool per_expert_metrics;
    int& streams;  // of events, open now
    std::function<void()> on_close;
  };

  virtual ~HttpSession() = default;
  virtual void start() = 0;
  /// New events are there.
  virtual void wake() = 0;
  virtual void close() = 0;
  /// It may stay for as long as its peer does; all others are soon over.
  [[nodiscard]] virtual bool is_stream() const = 0;
};

[[nodiscard]] std::shared_ptr<HttpSession> make_http_session(boost::asio::ip::tcp::socket socket,
                                                             HttpSession::Context context);

}  // namespace troupe::dashboard
