// Runs the tests of the ops with one instruction set of those that the kernels are compiled for:
//   ops_test --instruction_set=AVX2
// Without the flag, with the best one of this machine, as the program does.
#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/signals.h"

namespace {

constexpr std::string_view kFlag = "--instruction_set=";
constexpr int kSkipped = 77;  // the test's SKIP_RETURN_CODE

std::int64_t target_named(std::string_view name) {
  if (name == "scalar") return HWY_STATIC_TARGET;
  for (const std::int64_t target : {HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    if (name == hwy::TargetName(target)) return target;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  troupe::signals::take_over();
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with(kFlag)) continue;
    const std::string name(argument.substr(kFlag.size()));
    const std::int64_t target = target_named(name);
    if ((target & hwy::SupportedTargets()) == 0) {
      std::printf("SKIPPED: this machine has no %s\n", name.c_str());
      return kSkipped;
    }
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
  }
  return RUN_ALL_TESTS();
}
