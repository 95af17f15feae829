#pragma once
#include <utility>
#include <vector>

#include "coordinator/run/run_observer.h"

namespace troupe::coordinator {

/// Passes everything on to several observers, in their order. They must outlive it.
class ObserverList final : public RunObserver {
 public:
  explicit ObserverList(std::vector<RunObserver*> observers) : observers_(std::move(observers)) {}

  void state_changed(RunState state) override {
    for (RunObserver* observer : observers_) observer->state_changed(state);
  }
  void step_finished(const StepView& step) override {
    for (RunObserver* observer : observers_) observer->step_finished(step);
  }
  void worker_step_finished(const comm::StepFinished& report) override {
    for (RunObserver* observer : observers_) observer->worker_step_finished(report);
  }
  void evaluation_finished(const EvaluationSummary& evaluation) override {
    for (RunObserver* observer : observers_) observer->evaluation_finished(evaluation);
  }
  void sample_finished(const comm::SampleFinished& sample) override {
    for (RunObserver* observer : observers_) observer->sample_finished(sample);
  }
  void checkpoint_settled(const CheckpointView& checkpoint) override {
    for (RunObserver* observer : observers_) observer->checkpoint_settled(checkpoint);
  }
  void membership_changed(const MembershipView& membership) override {
    for (RunObserver* observer : observers_) observer->membership_changed(membership);
  }
  void stragglers_changed(const std::map<std::int64_t, Straggler>& stragglers) override {
    for (RunObserver* observer : observers_) observer->stragglers_changed(stragglers);
  }
  void note(Severity severity, const std::string& text) override {
    for (RunObserver* observer : observers_) observer->note(severity, text);
  }

 private:
  std::vector<RunObserver*> observers_;
};

}  // namespace troupe::coordinator
