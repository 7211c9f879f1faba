/** Header names that the gateway sets or reads. */
export const REQUEST_ID = "x-request-id";
export const TENANT = "x-tenant";
export const FORWARDED_FOR = "x-forwarded-for";
export const RETRY_AFTER = "retry-after";
export const CACHE_STATUS = "x-cache";

export const HOP_BY_HOP: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
