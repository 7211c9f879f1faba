import type { Dispatcher } from "./dispatcher.js";
import type { Upstream } from "./types.js";

/** Picks upstreams: least in flight, then by weight. */
export class Balancer {
  private cursor = 0;

  constructor(private readonly upstreams: Map<string, Upstream>) {}

  pick(names: string[], tried: Set<string>): Upstream | undefined {
    const candidates = names
      .map((name) => this.upstreams.get(name))
      .filter((item): item is Upstream => item !== undefined && item.healthy && !tried.has(item.name));
    if (candidates.length === 0) {
      return undefined;
    }
    const least = Math.min(...candidates.map((item) => item.inFlight / item.weight));
    const best = candidates.filter((item) => item.inFlight / item.weight === least);
    this.cursor = (this.cursor + 1) % best.length;
    return best[this.cursor];
  }

  markDown(name: string, dispatcher: Dispatcher): void {
    const found = this.upstreams.get(name);
    if (found) {
      found.healthy = false;
      dispatcher.drain(name);
    }
  }

  markUp(name: string): void {
    const found = this.upstreams.get(name);
    if (found) {
      found.healthy = true;
    }
  }
}
