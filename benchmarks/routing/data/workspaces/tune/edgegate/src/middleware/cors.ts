import type { GatewayRequest, GatewayResponse } from "../types.js";

export interface CorsOptions {
  origins: string[];
  maxAge: number;
}

export function preflight(request: GatewayRequest, options: CorsOptions): GatewayResponse | undefined {
  if (request.method !== "OPTIONS") {
    return undefined;
  }
  const origin = request.headers["origin"] ?? "";
  const allowed = options.origins.includes("*") || options.origins.includes(origin);
  return {
    status: allowed ? 204 : 403,
    headers: allowed
      ? {
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "GET,POST,PUT,DELETE",
          "access-control-max-age": String(options.maxAge),
        }
      : {},
  };
}
