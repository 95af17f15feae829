#include "dashboard/http_session.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "dashboard/http_routes.h"

namespace troupe::dashboard {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kRequestBytes = 8 * 1024;
constexpr std::chrono::seconds kRequestDeadline{5};
constexpr std::chrono::seconds kWriteDeadline{10};
constexpr const char* kEventStreamHead =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n\r\n"
    "retry: 2000\n\n";

template <class Fields>
std::string text_of(const Fields& request, http::field field) {
  const auto value = request[field];
  return {value.data(), value.size()};
}

class Session final : public HttpSession, public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::ip::tcp::socket socket, Context context)
      : stream_(std::move(socket)), context_(std::move(context)), buffer_(kRequestBytes) {
    parser_.header_limit(kRequestBytes);
    parser_.body_limit(0);
  }
  ~Session() override {
    if (streams_) --context_.streams;
    context_.on_close();
  }

  void start() override {
    stream_.expires_after(kRequestDeadline);
    http::async_read_header(
        stream_, buffer_, parser_,
        [self = shared_from_this()](beast::error_code error, std::size_t) { self->answer(error); });
  }

  void wake() override {
    if (!next_events_.empty() && !writing_) send_events();
  }

  void close() override { stream_.close(); }
  [[nodiscard]] bool is_stream() const override { return streams_; }

 private:
  void answer(beast::error_code error) {
    if (error) return;  // gone, too slow or not HTTP: nothing to say
    const auto& request = parser_.get();
    const bool head = request.method() == http::verb::head;
    const auto target = request.target();
    const Query query{.is_get = head || request.method() == http::verb::get,
                      .target = std::string(target.data(), target.size()),
                      .host = text_of(request, http::field::host),
                      .authorization = text_of(request, http::field::authorization),
                      .cookie = text_of(request, http::field::cookie)};
    const Answer refusal = admit(query, context_.access);
    if (refusal.status != 200) return respond(refusal, head);
    const std::string_view path = path_of(query.target);
    if (path == kEventsPath && !head) {
      if (context_.streams < kMostStreams) return start_events();
      return respond({503, "text/plain; charset=utf-8", "too many streams of events are open\n"}, false);
    }
    respond(route(path, context_.runs, context_.per_expert_metrics), head);
  }

  void respond(const Answer& answer, bool head) {
    response_.result(static_cast<unsigned>(answer.status));
    response_.version(11);
    response_.set(http::field::content_type, answer.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("Content-Security-Policy",
                  "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("Referrer-Policy", "no-referrer");
    for (const auto& [name, value] : answer.headers) response_.set(name, value);
    response_.keep_alive(false);
    response_.content_length(answer.body.size());
    if (!head) response_.body() = answer.body;
    stream_.expires_after(kWriteDeadline);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code, std::size_t) { self->finish(); });
  }

  void finish() {
    beast::error_code ignored;  // the peer may have closed first
    stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  }

  void start_events() {
    streams_ = true;
    ++context_.streams;
    for (const MetricsHub* hub : context_.runs) next_events_.push_back(hub->next_event());
    outgoing_ = kEventStreamHead;
    write_outgoing();
  }

  void send_events() {
    std::string text;
    for (std::size_t run = 0; run < context_.runs.size(); ++run) {
      auto events = context_.runs[run]->events_since(next_events_[run]);
      next_events_[run] = events.next;
      text += events.text;
    }
    if (text.empty()) return;
    outgoing_ = std::move(text);
    write_outgoing();
  }

  void write_outgoing() {
    writing_ = true;
    stream_.expires_after(kWriteDeadline);
    boost::asio::async_write(stream_, boost::asio::buffer(outgoing_),
                             [self = shared_from_this()](beast::error_code error, std::size_t) {
                               self->writing_ = false;
                               if (error) return self->stream_.close();
                               self->stream_.expires_never();
                               self->watch_for_close();
                               self->send_events();
                             });
  }

  // A stream is read only to notice that the peer is gone.
  void watch_for_close() {
    if (std::exchange(watching_, true)) return;
    stream_.socket().async_read_some(
        boost::asio::buffer(ignored_byte_),
        [self = shared_from_this()](beast::error_code, std::size_t) { self->close(); });
  }

  beast::tcp_stream stream_;
  Context context_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  std::vector<std::uint64_t> next_events_;  // of each run, on an event stream
  std::string outgoing_;
  bool streams_ = false;
  bool writing_ = false;
  bool watching_ = false;
  std::array<char, 1> ignored_byte_{};
};

}  // namespace

std::shared_ptr<HttpSession> make_http_session(boost::asio::ip::tcp::socket socket,
                                               HttpSession::Context context) {
  return std::make_shared<Session>(std::move(socket), std::move(context));
}

}  // namespace troupe::dashboard
