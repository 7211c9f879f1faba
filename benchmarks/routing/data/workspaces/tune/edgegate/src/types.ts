/** Shapes that everything shares. */

export interface GatewayRequest {
  id: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
  remote: string;
  received: number;
}

export interface GatewayResponse {
  status: number;
  headers: Record<string, string>;
  body?: Uint8Array;
}

export interface Upstream {
  name: string;
  url: string;
  weight: number;
  healthy: boolean;
  inFlight: number;
}

export interface RouteRule {
  prefix: string;
  methods?: string[];
  upstreams: string[];
  stripPrefix?: boolean;
  timeout: string;
  retries: number;
  cacheSeconds?: number;
  auth: "none" | "key" | "jwt";
  rateLimit?: { perMinute: number; burst: number };
  canary?: { upstream: string; percent: number };
}

export interface Claims {
  sub: string;
  tenant: string;
  scopes: string[];
  exp: number;
}
