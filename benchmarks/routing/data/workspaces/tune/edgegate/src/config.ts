import { readFileSync } from "node:fs";
import type { RouteRule, Upstream } from "./types.js";
import { parseDuration } from "./util/duration.js";

export interface GatewayConfig {
  port: number;
  jwtSecret: string;
  apiKeys: Record<string, string>;
  routes: RouteRule[];
  upstreams: Upstream[];
}

export function loadConfig(path: string): GatewayConfig {
  const raw = JSON.parse(readFileSync(path, "utf8")) as Partial<GatewayConfig>;
  if (!raw.routes?.length) {
    throw new Error("the configuration names no routes");
  }
  for (const route of raw.routes) {
    parseDuration(route.timeout);
  }
  return {
    port: raw.port ?? 8080,
    jwtSecret: raw.jwtSecret ?? "",
    apiKeys: raw.apiKeys ?? {},
    routes: raw.routes,
    upstreams: (raw.upstreams ?? []).map((item) => ({ ...item, healthy: true, inFlight: 0 })),
  };
}
