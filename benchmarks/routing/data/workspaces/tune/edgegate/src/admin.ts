import type { Dispatcher } from "./dispatcher.js";
import type { GatewayRequest, GatewayResponse } from "./types.js";
import { formatDuration } from "./util/duration.js";

const started = Date.now();

export function admin(request: GatewayRequest, dispatcher: Dispatcher): GatewayResponse {
  const text = (body: string, status = 200): GatewayResponse => ({
    status,
    headers: { "content-type": "text/plain" },
    body: new TextEncoder().encode(body),
  });
  switch (request.path) {
    case "/-/metrics":
      return text(
        Object.entries(dispatcher.metrics())
          .map(([name, value]) => `edgegate_${name} ${value}`)
          .join("\n"),
      );
    case "/-/uptime":
      return text(formatDuration(Date.now() - started));
    case "/-/cache/clear":
      dispatcher.cache.clear();
      return text("ok");
    default:
      return text("not found", 404);
  }
}
