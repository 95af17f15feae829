#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/error.h"
#include "comm/control/link/channel.h"
#include "comm/control/link/handshake.h"
#include "comm/control/messages/codec.h"
#include "dashboard/access.h"
#include "dashboard/http_routes.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

/// What is accepted is the same when it is said again. False when it is no such message.
template <class Decode>
bool is_message(const std::string& payload, Decode decode) {
  try {
    const auto message = decode(payload);
    if (comm::encode(decode(comm::encode(message))) != comm::encode(message))
      throw Error(ErrorCode::kInternal, "a message changes when it is sent on");
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    return false;
  }
}

template <class Fields>
std::string text_of(const Fields& request, boost::beast::http::field field) {
  const auto value = request[field];
  return {value.data(), value.size()};
}

}  // namespace

void read_control_frames(std::string_view bytes) {
  comm::Channel channel(1);
  channel.feed(bytes);
  while (const auto payload = channel.next_message()) {
    const bool is_known = is_message(*payload, comm::decode_worker_message) ||
                          is_message(*payload, comm::decode_coordinator_message);
    if (!is_known) throw Error(ErrorCode::kCorrupt, "no message");
    channel.take_in();
  }
  static_cast<void>(channel.take_output());
}

/// As HttpSession reads it.
void read_http_request(std::string_view bytes) {
  namespace http = boost::beast::http;
  constexpr std::size_t kRequestBytes = 8 * 1024;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kRequestBytes);
  parser.body_limit(0);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(bytes.data(), std::min(bytes.size(), kRequestBytes)), error);
  if (error || !parser.is_header_done()) return;
  const auto& request = parser.get();
  const auto target = request.target();
  const dashboard::Query query{.is_get = request.method() == http::verb::get,
                               .target = std::string(target.data(), target.size()),
                               .host = text_of(request, http::field::host),
                               .authorization = text_of(request, http::field::authorization),
                               .cookie = text_of(request, http::field::cookie)};
  const dashboard::DashboardOptions options;
  static_cast<void>(dashboard::admit(query, dashboard::access_rules(options, 80, std::string(64, 'a'))));
  if (dashboard::admit(query, dashboard::access_rules(options, 80, "")).status != 200) return;
  static dashboard::MetricsHub hub({.name = "run", .folder = {}, .steps = 1, .workers = 1, .epoch = 0});
  static_cast<void>(dashboard::route(dashboard::path_of(query.target), {&hub}, false));
}

}  // namespace troupe::fuzz
