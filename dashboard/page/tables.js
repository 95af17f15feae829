'use strict';

const byId = (id) => document.getElementById(id);
const fixed = (value, digits) => (value === null || value === undefined ? '–' : Number(value).toFixed(digits));

function rowOf(cells) {
  const element = document.createElement('tr');
  for (const cell of cells) {
    const column = document.createElement('td');
    if (cell instanceof Node) column.append(cell);
    else column.textContent = cell;
    element.append(column);
  }
  return element;
}

// ---- workers --------------------------------------------------------------------------------------

const phaseColors = {
  load: '#8c8c8c', forward: '#1f77b4', router: '#c2566b', dispatch: '#d9730d', expert: '#2a9d6f', combine: '#e3b23c',
  forward_again: '#8fbce6', backward: '#5b4b9a', reduce: '#7a3b2e', update: '#5aa9c7', other: '#c9c9c9',
};

function swatch(color) {
  const element = document.createElement('span');
  element.className = 'swatch';
  element.style.background = color;
  return element;
}

// In the order of a step; unknown ones last.
function orderedPhases(names) {
  const present = new Set(names);
  return [...Object.keys(phaseColors).filter((name) => present.has(name)), ...[...present].filter((name) => !(name in phaseColors))];
}

function phaseBar(seconds) {
  const bar = document.createElement('div');
  bar.className = 'phases';
  bar.setAttribute('role', 'img');
  const entries = orderedPhases(Object.keys(seconds || {})).map((phase) => [phase, seconds[phase]]);
  bar.setAttribute('aria-label', entries.map(([phase, value]) => `${phase} ${value.toFixed(3)} s`).join(', '));
  const total = entries.reduce((sum, [, value]) => sum + value, 0);
  for (const [phase, value] of entries) {
    const part = document.createElement('span');
    part.style.flexGrow = String(value / Math.max(total, 1e-9));
    part.style.background = phaseColors[phase] || phaseColors.other;
    part.title = `${phase}: ${value.toFixed(4)} s`;
    bar.append(part);
  }
  return bar;
}

// Of the phases that some worker has.
function showPhaseLegend(phases) {
  const names = orderedPhases(Object.values(phases).flatMap(Object.keys));
  const legend = byId('phase-legend');
  if (legend.dataset.names === names.join()) return;
  legend.dataset.names = names.join();
  legend.replaceChildren(...names.map((name) => {
    const item = document.createElement('li');
    item.append(swatch(phaseColors[name] || phaseColors.other), name);
    return item;
  }));
}

function showWorkers(workers, phases) {
  byId('worker-panel').hidden = workers.length === 0;
  byId('workers').tBodies[0].replaceChildren(...workers.map((worker) => {
    const line = rowOf([worker.rank, worker.host, worker.process_id, `${fixed(worker.heartbeat_age_seconds, 1)} s`,
      phaseBar(phases[worker.rank])]);
    if (worker.suspected) line.className = 'suspected';
    return line;
  }));
  showPhaseLegend(phases);
}

// ---- what comes now and then ----------------------------------------------------------------------

function showDomains(evaluation) {
  const lines = evaluation ? [['all', evaluation.total], ...Object.entries(evaluation.domains)] : [];
  byId('evaluation-panel').hidden = lines.length === 0;
  byId('domains').tBodies[0].replaceChildren(...lines.map(([name, result]) =>
    rowOf([name, fixed(result.eval_loss, 3), fixed(result.eval_bits_per_byte, 3)])));
}

// How far experts keep to domains, by layer.
function showSpecialization(evaluation) {
  const layers = evaluation?.layers ?? [];
  byId('specialization-panel').hidden = layers.length === 0;
  byId('specialization').tBodies[0].replaceChildren(...layers.map((layer) =>
    rowOf([layer.layer, fixed(layer.max_violation_global, 3), fixed(layer.mutual_information_bits, 3),
      fixed(layer.mutual_information_limit_bits, 3), fixed(layer.domain_distance, 3)])));
}

function showEvaluation(evaluation) {
  showDomains(evaluation);
  showSpecialization(evaluation);
}

// A list whose newest entry is on top; its panel is there from the first one on.
class NewestFirst {
  constructor(panel, list, most, elementOf) {
    Object.assign(this, {panel, list, most, elementOf});
  }
  show(records) {
    this.list.replaceChildren();
    this.panel.hidden = true;
    records.forEach((record) => this.add(record));
  }
  add(record) {
    this.panel.hidden = false;
    this.list.prepend(this.elementOf(record));
    while (this.list.children.length > this.most) this.list.lastChild.remove();
  }
}

function sampleElement(sample) {
  const paragraph = document.createElement('p');
  const when = document.createElement('span');
  when.className = 'when';
  when.textContent = `step ${sample.step}  `;
  const prompt = document.createElement('b');
  prompt.textContent = sample.prompt;
  paragraph.append(when, prompt, sample.text);
  return paragraph;
}

function checkpointElement(checkpoint) {
  return rowOf([checkpoint.step, `${(checkpoint.bytes / 1048576).toFixed(1)} MiB`, fixed(checkpoint.seconds, 2),
    checkpoint.error || 'committed']);
}

function noteElement(note) {
  const item = document.createElement('li');
  item.className = note.severity;
  item.textContent = note.text;
  return item;
}

const samples = new NewestFirst(byId('sample-panel'), byId('samples'), 20, sampleElement);
const checkpoints = new NewestFirst(byId('checkpoint-panel'), byId('checkpoints').tBodies[0], 200, checkpointElement);
const notes = new NewestFirst(byId('note-panel'), byId('notes'), 200, noteElement);
