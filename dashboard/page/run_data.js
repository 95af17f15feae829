'use strict';

// The curves of one run: what the server kept, then what its events bring, in bounded memory. Evaluations have steps of
// their own: they stay when the curves are thinned, and there is one before the first step.
class RunData {
  static mostPoints = 8192;

  constructor(name, history, evaluations) {
    this.name = name;
    this.steps = history.steps;
    this.metrics = history.metrics;
    this.evaluations = new Map();  // step → metrics, in the order of steps
    evaluations.forEach((evaluation) => this.addEvaluation(evaluation));
  }

  // After a failure steps come again, with the same values.
  add(step) {
    if (this.steps.length && step.step <= this.steps[this.steps.length - 1]) return;
    this.steps.push(step.step);
    for (const [name, value] of Object.entries(step.metrics)) {
      const column = this.metrics[name] || (this.metrics[name] = []);
      while (column.length < this.steps.length - 1) column.push(null);
      column.push(value);
    }
    if (this.steps.length > RunData.mostPoints) this.thin();
  }

  // Training went back to this step, and goes on otherwise.
  forgetAfter(step) {
    const later = this.steps.findIndex((one) => one > step);
    if (later >= 0) {
      this.steps.length = later;
      for (const column of Object.values(this.metrics)) column.length = Math.min(column.length, later);
    }
    for (const one of [...this.evaluations.keys()]) if (one > step) this.evaluations.delete(one);
  }

  thin() {
    const everySecond = (_, index) => index % 2 === 0;
    this.steps = this.steps.filter(everySecond);
    for (const name of Object.keys(this.metrics)) this.metrics[name] = this.metrics[name].filter(everySecond);
  }

  addEvaluation(evaluation) {
    this.evaluations.set(evaluation.step, evaluation.total);
  }

  static isNumber(value) { return value !== null && value !== undefined; }

  // [[step, value]…] of a metric of the steps, averaged over `period` points, or of the evaluations.
  points(name, period) {
    if (name.startsWith('eval_')) {
      return [...this.evaluations].map(([step, metrics]) => [step, metrics[name]]).filter(([, value]) => RunData.isNumber(value));
    }
    const column = this.metrics[name] || [];
    const all = column.map((value, index) => [this.steps[index], value]).filter(([, value]) => RunData.isNumber(value));
    return period > 1 ? RunData.averaged(all, period) : all;
  }

  static averaged(points, period) {
    let sum = 0;
    return points.map(([step, value], index) => {
      sum += value - (index >= period ? points[index - period][1] : 0);
      return [step, sum / Math.min(index + 1, period)];
    });
  }
}
