#include <gmock/gmock.h>

#include <csignal>

#include "base/signals.h"

// Tests compute too.
int main(int argc, char** argv) {
  std::signal(SIGHUP, SIG_DFL);  // also under nohup
  troupe::signals::take_over();
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
