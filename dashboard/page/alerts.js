'use strict';

// What somebody should look at now. Pure: from the newest step, workers and checkpoint, sentences.
const mostViolation = 2;    // an expert with three times its share
const settledSteps = 50;    // MaxVio's window; before, a router has yet to learn

function unevenLayers(step) {
  if (step.step < settledSteps) return [];
  return step.layers.filter((layer) => layer.metrics.max_violation_window >= mostViolation).map(({layer, metrics}) =>
    `Layer ${layer} is uneven: over ${settledSteps} steps one expert had ${(metrics.max_violation_window + 1).toFixed(1)} × ` +
    `the mean load (MaxVio ${metrics.max_violation_window.toFixed(1)}).`);
}

function alertsOf(step, workers, checkpoint) {
  const metrics = step.metrics || {};
  const alerts = [];
  if (metrics.skipped_steps_total > 0) alerts.push(`${metrics.skipped_steps_total} steps were skipped: values not finite, or a loss spike.`);
  if (metrics.dead_experts > 0) alerts.push(`A layer has ${metrics.dead_experts} experts without a token in 100 steps.`);
  alerts.push(...unevenLayers({layers: [], ...step}));
  for (const {rank, host} of workers.filter((worker) => worker.suspected)) alerts.push(`Worker ${rank} on ${host} is silent.`);
  if (checkpoint && checkpoint.error) alerts.push(`The checkpoint of step ${checkpoint.step} failed: ${checkpoint.error}`);
  return alerts;
}
