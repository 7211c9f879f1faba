import type { Balancer } from "./balancer.js";
import type { Dispatcher } from "./dispatcher.js";
import type { Upstream } from "./types.js";
import { Logger } from "./util/log.js";

export class HealthChecker {
  private timer: NodeJS.Timeout | undefined;
  private readonly failures = new Map<string, number>();

  constructor(
    private readonly upstreams: Upstream[],
    private readonly balancer: Balancer,
    private readonly dispatcher: Dispatcher,
    private readonly log: Logger,
  ) {}

  start(every: number): void {
    this.timer = setInterval(() => void this.round(), every);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  async round(): Promise<void> {
    await Promise.all(this.upstreams.map((item) => this.check(item)));
  }

  private async check(item: Upstream): Promise<void> {
    try {
      const reply = await fetch(`${item.url}/health`, { signal: AbortSignal.timeout(2000) });
      if (!reply.ok) {
        throw new Error(String(reply.status));
      }
      this.failures.set(item.name, 0);
      this.balancer.markUp(item.name);
    } catch (problem) {
      const count = (this.failures.get(item.name) ?? 0) + 1;
      this.failures.set(item.name, count);
      if (count >= 3) {
        this.log.log("warn", "upstream is down", { upstream: item.name, problem: String(problem) });
        this.balancer.markDown(item.name, this.dispatcher);
      }
    }
  }
}
