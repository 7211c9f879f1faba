export class GatewayError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryable = false,
  ) {
    super(message);
  }
}

export class UpstreamTimeout extends GatewayError {
  constructor(name: string) {
    super(504, `${name} did not answer in time`, true);
  }
}

export class Unauthorized extends GatewayError {
  constructor(reason: string) {
    super(401, reason);
  }
}
