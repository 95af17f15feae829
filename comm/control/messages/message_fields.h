#pragma once
#include <string_view>

#include "comm/control/messages/messages.h"

/// Names of all messages and of their fields, once, for writing and reading. `archive(name, field)` is
/// called for each field; `message` is const when writing.
namespace troupe::comm::detail {

template <class Message>
struct Description;

template <>
struct Description<JoinRequested> {
  static constexpr std::string_view kName = "JoinRequested";
  static void fields(auto& archive, auto& message) {
    archive("first_rank", message.first_rank);
    archive("ranks", message.ranks);
    archive("world_size", message.world_size);
    archive("host", message.host);
    archive("process_id", message.process_id);
    archive("numerics_fingerprint", message.numerics_fingerprint);
    archive("run_folder_nonce", message.run_folder_nonce);
    archive("job", message.job);
  }
};

template <>
struct Description<LayerLoad> {
  static void fields(auto& archive, auto& load) {
    archive("layer", load.layer);
    archive("counts", load.counts);
    archive("bias", load.bias);
    archive("zero_compute", load.zero_compute);
    archive("dropped", load.dropped);
    archive("aux_loss", load.aux_loss);
    archive("router_z", load.router_z);
    archive("domains", load.domains);
    archive("co_activation", load.co_activation);
  }
};

template <>
struct Description<StepFinished> {
  static constexpr std::string_view kName = "StepFinished";
  static void fields(auto& archive, auto& message) {
    archive("rank", message.rank);
    archive("step", message.step);
    archive("tokens_total", message.tokens_total);
    archive("metrics", message.metrics);
    archive("loads", message.loads);
    archive("phase_seconds", message.phase_seconds);
    archive("skip_reason", message.skip_reason);
  }
};

template <>
struct Description<DomainLoss> {
  static void fields(auto& archive, auto& loss) {
    archive("nats", loss.nats);
    archive("tokens", loss.tokens);
    archive("bytes", loss.bytes);
    archive("preferred", loss.preferred);
  }
};

template <>
struct Description<EvaluationFinished> {
  static constexpr std::string_view kName = "EvaluationFinished";
  static void fields(auto& archive, auto& message) {
    archive("step", message.step);
    archive("domains", message.domains);
    archive("loads", message.loads);
  }
};

template <>
struct Description<SampleFinished> {
  static constexpr std::string_view kName = "SampleFinished";
  static void fields(auto& archive, auto& message) {
    archive("step", message.step);
    archive("prompt", message.prompt);
    archive("text", message.text);
  }
};

template <>
struct Description<ShardWritten> {
  static constexpr std::string_view kName = "ShardWritten";
  static void fields(auto& archive, auto& message) {
    archive("rank", message.rank);
    archive("step", message.step);
    archive("folder", message.folder);
    archive("description", message.description);
    archive("error", message.error);
    archive("updates", message.updates);
    archive("tokens_total", message.tokens_total);
    archive("data_cursor", message.data_cursor);
  }
};

template <>
struct Description<RankPlace> {
  static void fields(auto& archive, auto& place) {
    archive("rank", place.rank);
    archive("phase", place.phase);
    archive("layer", place.layer);
    archive("collective", place.collective);
    archive("collectives", place.collectives);
    archive("moves", place.moves);
  }
};

template <>
struct Description<WorkerActive> {
  static constexpr std::string_view kName = "WorkerActive";
  static void fields(auto& archive, auto& message) {
    archive("rank", message.rank);
    archive("step", message.step);
    archive("activity", message.activity);
    archive("places", message.places);
  }
};

template <>
struct Description<WorkerFailed> {
  static constexpr std::string_view kName = "WorkerFailed";
  static void fields(auto& archive, auto& message) {
    archive("rank", message.rank);
    archive("error_code", message.error_code);
    archive("message", message.message);
  }
};

template <>
struct Description<TrainingEnded> {
  static constexpr std::string_view kName = "TrainingEnded";
  static void fields(auto& archive, auto& message) {
    archive("rank", message.rank);
    archive("step", message.step);
    archive("finished", message.finished);
    archive("diverged", message.diverged);
    archive("updates", message.updates);
    archive("data_cursor", message.data_cursor);
  }
};

template <>
struct Description<StartTraining> {
  static constexpr std::string_view kName = "StartTraining";
  static void fields(auto& archive, auto& message) {
    archive("world_size", message.world_size);
    archive("checkpoint", message.checkpoint);
    archive("data_cursor", message.data_cursor);
    archive("snapshots", message.snapshots);
    archive("snapshot", message.snapshot);
    archive("snapshot_step", message.snapshot_step);
  }
};

template <>
struct Description<StepPlan> {
  static constexpr std::string_view kName = "StepPlan";
  static void fields(auto& archive, auto& message) {
    archive("version", message.version);
    archive("first_step", message.first_step);
    archive("last_step", message.last_step);
    archive("evaluate", message.evaluate);
    archive("evaluate_fully", message.evaluate_fully);
    archive("sample", message.sample);
    archive("save", message.save);
    archive("stop_after", message.stop_after);
  }
};

template <>
struct Description<StopTraining> {
  static constexpr std::string_view kName = "StopTraining";
  static void fields(auto& archive, auto& message) { archive("reason", message.reason); }
};

template <>
struct Description<Dismiss> {
  static constexpr std::string_view kName = "Dismiss";
  static void fields(auto&, auto&) {}
};

template <>
struct Description<Refuse> {
  static constexpr std::string_view kName = "Refuse";
  static void fields(auto& archive, auto& message) { archive("reason", message.reason); }
};

}  // namespace troupe::comm::detail
