#include "workers/step/not_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/parameters.h"

namespace troupe::workers {
namespace {

bool is_bad(double value) { return !std::isfinite(value); }

void add(const std::string& what, std::string& words) {
  if (!words.empty()) words += ", ";
  words += what;
}

/// The layer nearest to the loss is where it came from: backward carries it on to all below.
std::string nearest_to_loss(const std::vector<std::string>& gradients) {
  const auto is_layer = [](const std::string& name) {
    return name.starts_with("layers/") || name.starts_with("mtp/");
  };
  const auto last = std::ranges::find_if(gradients.rbegin(), gradients.rend(), is_layer);
  return last == gradients.rend() ? gradients.back() : *last;
}

}  // namespace

std::string not_finite(const StepResult& step, const std::vector<std::string>& gradients,
                       const model::ModelOptions& options) {
  std::string words;
  if (is_bad(step.loss_lm)) {
    add("the loss of the text", words);
  } else if (is_bad(step.mtp_loss)) {
    add("the loss of multi-token prediction", words);
  } else if (is_bad(step.loss)) {
    add("an auxiliary loss", words);
  }
  const auto router = std::ranges::find_if(step.layer_router_z, is_bad);
  if (router != step.layer_router_z.end()) {
    const std::int64_t layer = model::layer_of_moe(options, router - step.layer_router_z.begin());
    add(fmt::format("the activations that reach the router of layer {}", layer), words);
  }
  if (!gradients.empty()) {
    add(fmt::format("the gradients of {} parameters, nearest to the loss {}", gradients.size(),
                    nearest_to_loss(gradients)),
        words);
  } else if (is_bad(step.grad_norm)) {
    add("the norm of the gradient", words);
  }
  return words;
}

}  // namespace troupe::workers
