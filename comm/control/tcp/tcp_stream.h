#pragma once
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::comm::detail {

/// Where a TcpStream's news go; on its context's thread.
class TcpStreamOwner {
 public:
  virtual ~TcpStreamOwner() = default;
  /// Answers one read().
  virtual void on_bytes(std::string_view bytes) = 0;
  /// The other end closed, or something failed; the stream is closed. Once; not after close().
  virtual void on_end(const std::string& reason) = 0;
};

/// A connected TCP socket: one read and one write under way at most, writes queued. Only for its context's
/// thread. Destroy it when is_idle(), or when the context does not run any more.
class TcpStream {
 public:
  TcpStream(boost::asio::ip::tcp::socket socket, TcpStreamOwner& owner);
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  /// Who hears the news from now on.
  void set_owner(TcpStreamOwner& owner) { owner_ = &owner; }

  /// Reads what comes, `max_bytes` at most; the owner asks again when it wants more.
  void read(std::size_t max_bytes);
  [[nodiscard]] bool is_reading() const { return reading_; }
  void write(std::string bytes);
  [[nodiscard]] bool is_writing() const { return writing_; }
  /// Says that nothing more will be written, once everything is.
  void finish_writing();
  /// Gives up whatever is under way; nothing is reported any more.
  void close();
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] bool is_idle() const { return !is_open() && !reading_ && !writing_; }

 private:
  void write_next();
  void fail(const boost::system::error_code& error);

  static constexpr std::size_t kBufferBytes = 64 << 10;

  boost::asio::ip::tcp::socket socket_;
  TcpStreamOwner* owner_;
  std::array<char, kBufferBytes> buffer_;
  std::string writing_bytes_;
  std::string queued_bytes_;
  bool reading_ = false;
  bool writing_ = false;
  bool finishing_ = false;
};

}  // namespace troupe::comm::detail
