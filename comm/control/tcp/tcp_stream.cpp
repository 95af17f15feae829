#include "comm/control/tcp/tcp_stream.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "base/error.h"

namespace troupe::comm::detail {

namespace asio = boost::asio;
using boost::system::error_code;

TcpStream::TcpStream(asio::ip::tcp::socket socket, TcpStreamOwner& owner)
    : socket_(std::move(socket)), owner_(&owner) {
  error_code ignored;  // small messages are delayed without it, nothing more
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC) != 0)
    throw io_error("fcntl of a control connection");
}

void TcpStream::read(std::size_t max_bytes) {
  reading_ = true;
  socket_.async_read_some(asio::buffer(buffer_.data(), std::min(max_bytes, buffer_.size())),
                          [this](const error_code& error, std::size_t bytes) {
                            reading_ = false;
                            if (error) return fail(error);
                            if (is_open()) owner_->on_bytes({buffer_.data(), bytes});
                          });
}

void TcpStream::write(std::string bytes) {
  if (!is_open() || bytes.empty()) return;
  queued_bytes_ += bytes;
  if (!writing_) write_next();
}

void TcpStream::write_next() {
  writing_ = true;
  writing_bytes_ = std::exchange(queued_bytes_, {});
  asio::async_write(socket_, asio::buffer(writing_bytes_), [this](const error_code& error, std::size_t) {
    writing_ = false;
    if (error) return fail(error);
    if (!is_open()) return;
    if (!queued_bytes_.empty()) return write_next();
    if (finishing_) finish_writing();
  });
}

void TcpStream::finish_writing() {
  finishing_ = true;
  if (writing_ || !is_open()) return;
  error_code ignored;  // the other end may have closed at the same time
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void TcpStream::close() {
  error_code ignored;  // the socket is released in any case
  socket_.close(ignored);
}

void TcpStream::fail(const error_code& error) {
  if (!is_open()) return;
  close();
  owner_->on_end(error == asio::error::eof ? "closed by the other end" : error.message());
}

}  // namespace troupe::comm::detail
