import type { CalendarEvent } from "../model/event";
import type { CalendarStore } from "../store/calendarStore";
import { parseIcs } from "../ics/parse";
import { writeIcs } from "../ics/write";

export interface RemoteChange {
  uid: string;
  deleted: boolean;
  event: CalendarEvent;
}

export interface ChangePage {
  changes: RemoteChange[];
  token: string;
}

export class HttpError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export class CalDavClient {
  constructor(
    private readonly home: string,
    private readonly authorization: string,
    private readonly fetcher: typeof fetch = fetch,
  ) {}

  private async call(method: string, url: string, body?: string, headers: Record<string, string> = {}): Promise<Response> {
    const response = await this.fetcher(url, {
      method,
      body,
      headers: { Authorization: this.authorization, "Content-Type": "application/xml; charset=utf-8", ...headers },
    });
    if (response.status === 401) throw new HttpError(401, "the server refused the password");
    if (response.status >= 400) throw new HttpError(response.status, `${method} ${url}: ${response.status}`);
    return response;
  }

  async changes(url: string, token?: string): Promise<ChangePage> {
    const body = `<d:sync-collection xmlns:d="DAV:"><d:sync-token>${token ?? ""}</d:sync-token></d:sync-collection>`;
    const response = await this.call("REPORT", url, body, { Depth: "1" });
    const text = await response.text();
    const changes: RemoteChange[] = [];
    for (const block of text.split("<d:response>").slice(1)) {
      const href = /<d:href>([^<]+)/.exec(block)?.[1] ?? "";
      const uid = decodeURIComponent(href.split("/").pop() ?? "").replace(/\.ics$/, "");
      if (block.includes("404 Not Found")) {
        changes.push({ uid, deleted: true, event: {} as CalendarEvent });
        continue;
      }
      const data = /<c:calendar-data>([\s\S]*?)<\/c:calendar-data>/.exec(block)?.[1];
      const etag = /<d:getetag>"?([^"<]+)/.exec(block)?.[1];
      if (!data) continue;
      const [event] = parseIcs(data);
      if (event) changes.push({ uid, deleted: false, event: { ...event, etag } });
    }
    return { changes, token: /<d:sync-token>([^<]+)/.exec(text)?.[1] ?? token ?? "" };
  }

  async put(event: CalendarEvent): Promise<string> {
    const headers: Record<string, string> = event.etag ? { "If-Match": `"${event.etag}"` } : { "If-None-Match": "*" };
    const response = await this.call("PUT", `${this.home}/${encodeURIComponent(event.uid)}.ics`, writeIcs([event]), headers);
    return (response.headers.get("etag") ?? "").replace(/"/g, "");
  }

  async remove(uid: string, etag?: string): Promise<void> {
    await this.call("DELETE", `${this.home}/${encodeURIComponent(uid)}.ics`, undefined, etag ? { "If-Match": `"${etag}"` } : {});
  }
}

export function startPolling(store: CalendarStore, seconds: number): () => void {
  const timer = setInterval(() => void store.sync(), seconds * 1000);
  return () => clearInterval(timer);
}
