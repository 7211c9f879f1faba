import type { Dispatcher } from "../dispatcher.js";
import { GatewayError } from "../errors.js";
import { clamp } from "../util/clamp.js";

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets per tenant and route. */
export class RateLimiter {
  private readonly buckets = new Map<string, Bucket>();

  constructor(private readonly dispatcher: Dispatcher) {}

  take(key: string, perMinute: number, burst: number): void {
    const now = Date.now();
    const bucket = this.buckets.get(key) ?? { tokens: burst, at: now };
    const refill = ((now - bucket.at) / 60_000) * perMinute;
    bucket.tokens = clamp(bucket.tokens + refill, 0, burst);
    bucket.at = now;
    this.buckets.set(key, bucket);
    if (bucket.tokens < 1) {
      this.dispatcher.count("rate_limited");
      throw new GatewayError(429, "too many requests", true);
    }
    bucket.tokens -= 1;
  }
}
