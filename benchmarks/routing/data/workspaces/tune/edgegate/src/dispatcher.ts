import { Balancer } from "./balancer.js";
import { ResponseCache } from "./cache.js";
import type { GatewayConfig } from "./config.js";
import { GatewayError, Unauthorized, UpstreamTimeout } from "./errors.js";
import { HealthChecker } from "./health.js";
import { tenantOfKey, verifyJwt } from "./middleware/auth.js";
import { RateLimiter } from "./middleware/ratelimit.js";
import type { GatewayRequest, GatewayResponse, RouteRule, Upstream } from "./types.js";
import { parseDuration } from "./util/duration.js";
import { CACHE_STATUS, FORWARDED_FOR, HOP_BY_HOP, REQUEST_ID, RETRY_AFTER, TENANT } from "./util/headers.js";
import { Logger } from "./util/log.js";

type Phase = "match" | "auth" | "limit" | "cache" | "send" | "retry" | "done";

/** Everything that happens to a request. */
export class Dispatcher {
  readonly balancer: Balancer;
  readonly cache: ResponseCache;
  readonly health: HealthChecker;
  private readonly limiter: RateLimiter;
  private readonly upstreams = new Map<string, Upstream>();
  private readonly counters = new Map<string, number>();
  private readonly draining = new Set<string>();
  private readonly flights = new Map<string, Promise<GatewayResponse>>();
  private readonly aborts = new Map<string, Set<AbortController>>();

  constructor(
    private readonly config: GatewayConfig,
    private readonly log: Logger,
  ) {
    for (const item of config.upstreams) {
      this.upstreams.set(item.name, item);
    }
    this.balancer = new Balancer(this.upstreams);
    this.cache = new ResponseCache(5000, this);
    this.limiter = new RateLimiter(this);
    this.health = new HealthChecker(config.upstreams, this.balancer, this, log.child("health"));
  }

  count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  metrics(): Record<string, number> {
    return Object.fromEntries(this.counters);
  }

  drain(name: string): void {
    this.draining.add(name);
    for (const controller of this.aborts.get(name) ?? []) {
      controller.abort();
    }
  }

  match(request: GatewayRequest): RouteRule | undefined {
    let best: RouteRule | undefined;
    for (const rule of this.config.routes) {
      if (!request.path.startsWith(rule.prefix)) {
        continue;
      }
      if (rule.methods && !rule.methods.includes(request.method)) {
        continue;
      }
      if (!best || rule.prefix.length > best.prefix.length) {
        best = rule;
      }
    }
    return best;
  }

  async handle(request: GatewayRequest): Promise<GatewayResponse> {
    let phase: Phase = "match";
    let tenant = "anonymous";
    const started = Date.now();
    try {
      const rule = this.match(request);
      if (!rule) {
        this.count("no_route");
        return { status: 404, headers: { [REQUEST_ID]: request.id } };
      }
      phase = "auth";
      if (rule.auth === "jwt") {
        const header = request.headers["authorization"] ?? "";
        if (!header.toLowerCase().startsWith("bearer ")) {
          throw new Unauthorized("a token is needed");
        }
        const claims = verifyJwt(header.slice(7), this.config.jwtSecret);
        if (rule.methods?.includes("DELETE") && !claims.scopes.includes("admin")) {
          if (request.method === "DELETE") {
            throw new GatewayError(403, "not allowed");
          }
        }
        tenant = claims.tenant;
      } else if (rule.auth === "key") {
        tenant = tenantOfKey(request, this.config.apiKeys, this);
      } else if (request.headers[TENANT]) {
        tenant = request.headers[TENANT];
      }
      phase = "limit";
      if (rule.rateLimit) {
        this.limiter.take(`${tenant} ${rule.prefix}`, rule.rateLimit.perMinute, rule.rateLimit.burst);
      }
      phase = "cache";
      const cacheable = (rule.cacheSeconds ?? 0) > 0 && (request.method === "GET" || request.method === "HEAD");
      if (cacheable && request.headers["cache-control"] !== "no-cache") {
        const hit = this.cache.get(request);
        if (hit) {
          this.count("cache_hit");
          return { ...hit, headers: { ...hit.headers, [CACHE_STATUS]: "hit", [REQUEST_ID]: request.id } };
        }
        const flight = this.flights.get(this.cache.key(request));
        if (flight) {
          this.count("coalesced");
          const shared = await flight;
          return { ...shared, headers: { ...shared.headers, [CACHE_STATUS]: "shared", [REQUEST_ID]: request.id } };
        }
      }
      phase = "send";
      const work = this.sendWithRetries(request, rule, tenant, (next) => (phase = next));
      if (cacheable) {
        this.flights.set(this.cache.key(request), work);
      }
      let response: GatewayResponse;
      try {
        response = await work;
      } finally {
        if (cacheable) {
          this.flights.delete(this.cache.key(request));
        }
      }
      if (cacheable && response.status === 200 && !("set-cookie" in response.headers)) {
        if (response.headers["cache-control"]?.includes("private") !== true) {
          this.cache.put(request, response, rule.cacheSeconds ?? 0);
        }
      } else if (response.status >= 500 && cacheable) {
        const stale = this.cache.get(request);
        if (stale) {
          this.count("stale_served");
          response = stale;
        }
      }
      phase = "done";
      response.headers[REQUEST_ID] = request.id;
      return response;
    } catch (problem) {
      if (problem instanceof GatewayError) {
        this.count(`failed_${phase}`);
        const headers: Record<string, string> = { [REQUEST_ID]: request.id };
        if (problem.status === 429) {
          headers[RETRY_AFTER] = "60";
        } else if (problem.status === 503 && phase === "retry") {
          headers[RETRY_AFTER] = "5";
        }
        return { status: problem.status, headers, body: new TextEncoder().encode(problem.message) };
      }
      this.log.log("error", "unexpected", { phase, id: request.id, problem: String(problem) });
      return { status: 500, headers: { [REQUEST_ID]: request.id } };
    } finally {
      this.log.log("info", "request", { id: request.id, tenant, phase, ms: Date.now() - started });
    }
  }

  private async sendWithRetries(
    request: GatewayRequest,
    rule: RouteRule,
    tenant: string,
    enter: (phase: Phase) => void,
  ): Promise<GatewayResponse> {
    const tried = new Set<string>();
    const safe = request.method === "GET" || request.method === "HEAD" || request.headers["idempotency-key"];
    let last: GatewayError | undefined;
    for (let attempt = 0; attempt <= rule.retries; attempt += 1) {
      if (attempt > 0) {
        enter("retry");
        this.count("retries");
        if (!safe) {
          break;
        }
      }
      let upstream: Upstream | undefined;
      if (rule.canary && attempt === 0 && this.bucket(tenant) < rule.canary.percent) {
        upstream = this.upstreams.get(rule.canary.upstream);
        if (upstream && (!upstream.healthy || this.draining.has(upstream.name))) {
          upstream = undefined;
        }
      }
      upstream ??= this.balancer.pick(rule.upstreams, tried);
      if (!upstream) {
        throw last ?? new GatewayError(503, "no upstream is healthy", true);
      }
      tried.add(upstream.name);
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort(), parseDuration(rule.timeout));
      upstream.inFlight += 1;
      let open = this.aborts.get(upstream.name);
      if (!open) {
        open = new Set();
        this.aborts.set(upstream.name, open);
      }
      open.add(controller);
      try {
        const path = rule.stripPrefix ? request.path.slice(rule.prefix.length) || "/" : request.path;
        const headers: Record<string, string> = {};
        for (const [name, value] of Object.entries(request.headers)) {
          if (!HOP_BY_HOP.includes(name) && name !== "host") {
            headers[name] = value;
          }
        }
        headers[FORWARDED_FOR] = headers[FORWARDED_FOR] ? `${headers[FORWARDED_FOR]}, ${request.remote}` : request.remote;
        headers[TENANT] = tenant;
        const reply = await fetch(upstream.url + path, {
          method: request.method,
          headers,
          body: request.body,
          signal: controller.signal,
          redirect: "manual",
        });
        const body = new Uint8Array(await reply.arrayBuffer());
        if (reply.status >= 500 && attempt < rule.retries && safe) {
          last = new GatewayError(reply.status, `${upstream.name} answered ${reply.status}`, true);
          if (reply.status === 503) {
            this.balancer.markDown(upstream.name, this);
          }
          continue;
        }
        return { status: reply.status, headers: Object.fromEntries(reply.headers), body };
      } catch (problem) {
        if (controller.signal.aborted) {
          last = this.draining.has(upstream.name)
            ? new GatewayError(503, `${upstream.name} was drained`, true)
            : new UpstreamTimeout(upstream.name);
        } else {
          last = new GatewayError(502, String(problem), true);
        }
      } finally {
        clearTimeout(timer);
        upstream.inFlight -= 1;
        open.delete(controller);
        if (upstream.inFlight === 0) {
          this.draining.delete(upstream.name);
        }
      }
    }
    throw last ?? new GatewayError(502, "nothing was sent");
  }

  private bucket(tenant: string): number {
    let hash = 0;
    for (const letter of tenant) {
      hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    }
    return hash % 100;
  }
}
