/** What went wrong with a request. `status` 0: no answer came. */
export class ApiError extends Error {
  readonly status: number;
  /** The service's stable word for it, such as `image_not_found`; empty where it has none. */
  readonly code: string;
  readonly requestId: string;
  /** Seconds to wait, where the service says so. */
  readonly retryAfter: number | null;

  constructor(status: number, message: string, code = "", requestId = "", retryAfter: number | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** From an answer and its body, whatever it is. */
export function apiError(response: Response, body: unknown): ApiError {
  const found = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const message = typeof found.message === "string" ? found.message : typeof found.error === "string" && !("code" in found) ? found.error : response.statusText;
  const code = typeof found.error === "string" ? found.error : "";
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new ApiError(response.status, message, code, response.headers.get("x-openstack-request-id") ?? "", Number.isFinite(wait) ? wait : null);
}
