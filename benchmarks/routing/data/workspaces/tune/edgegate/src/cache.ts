import type { Dispatcher } from "./dispatcher.js";
import type { GatewayRequest, GatewayResponse } from "./types.js";

interface Entry {
  response: GatewayResponse;
  until: number;
}

/** Responses by method, path and tenant; least recently used go first. */
export class ResponseCache {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly limit: number,
    private readonly dispatcher?: Dispatcher,
  ) {}

  key(request: GatewayRequest): string {
    return `${request.method} ${request.path} ${request.headers["x-tenant"] ?? ""}`;
  }

  get(request: GatewayRequest): GatewayResponse | undefined {
    const key = this.key(request);
    const found = this.entries.get(key);
    if (!found) {
      return undefined;
    }
    if (found.until < Date.now()) {
      this.entries.delete(key);
      this.dispatcher?.count("cache_expired");
      return undefined;
    }
    this.entries.delete(key);
    this.entries.set(key, found);
    return found.response;
  }

  put(request: GatewayRequest, response: GatewayResponse, seconds: number): void {
    if (this.entries.size >= this.limit) {
      const oldest = this.entries.keys().next().value;
      if (oldest !== undefined) {
        this.entries.delete(oldest);
      }
    }
    this.entries.set(this.key(request), { response, until: Date.now() + seconds * 1000 });
  }

  clear(): void {
    this.entries.clear();
  }
}
