'use strict';

// Domain × expert and expert × expert maps of one layer, from the newest tables (api/shares).
class Shares {
  // load: fetches api/shares of the run that is looked at
  constructor(load) {
    this.load = load;
    this.domains = [];
    this.layers = [];
    this.domainMap = new HeatMap(byId('domain-map'), byId('domain-note'), {
      row: (name) => name,
      cell: (name, expert, value) => `${name}, expert ${expert}: ${value.toFixed(2)} × an even share`,
    });
    this.pairMap = new HeatMap(byId('pair-map'), byId('pair-note'), {
      row: (expert) => `expert ${expert}`,
      cell: (a, b, value) => `Experts ${a} and ${b}: ${value.toFixed(2)} × the mean pair`,
    });
    byId('share-layer').addEventListener('change', () => this.draw());
  }

  async refresh() {
    this.layers = (await this.load()).layers;
    const select = byId('share-layer');
    if (select.options.length !== this.layers.length) {
      select.replaceChildren(...this.layers.map(({layer}) => new Option(layer, layer)));
    }
    this.draw();
  }

  static rowsOf(counts, rows) {
    const width = counts.length / rows;
    return Array.from({length: rows}, (_, row) => counts.slice(row * width, (row + 1) * width));
  }

  static sum(values) { return values.reduce((a, b) => a + b, 0); }

  // Each row over its own mean.
  static overRowMean(rows) {
    return rows.map((row) => {
      const total = Shares.sum(row);
      return row.map((count) => (total ? count * row.length / total : 0));
    });
  }

  // The upper triangle, mirrored, over the mean of all pairs; an expert with itself is no pair: even.
  static pairs(counts) {
    const experts = Math.round(Math.sqrt(counts.length));
    const mean = Shares.sum(counts) / Math.max(1, experts * (experts - 1) / 2);
    const cell = (a, b) => {
      if (a === b) return 1;
      return mean ? counts[Math.min(a, b) * experts + Math.max(a, b)] / mean : 0;
    };
    return Array.from({length: experts}, (_, a) => Array.from({length: experts}, (__, b) => cell(a, b)));
  }

  draw() {
    const shown = this.layers[byId('share-layer').selectedIndex];
    const domains = shown && this.domains.length ? shown.domains.counts : [];
    const pairs = shown ? shown.co_activation.counts : [];
    byId('domain-panel').hidden = domains.length === 0;
    byId('pair-panel').hidden = pairs.length === 0;
    if (domains.length) {
      byId('domain-step').textContent = `step ${shown.domains.step}`;
      this.domainMap.show(this.domains, Shares.overRowMean(Shares.rowsOf(domains, this.domains.length)));
    }
    if (!pairs.length) return;
    const rows = Shares.pairs(pairs);
    this.pairMap.show(rows.map((_, expert) => expert), rows);
  }
}
