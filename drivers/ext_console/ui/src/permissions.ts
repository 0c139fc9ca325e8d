/** What the caller may do, by the rules of the policy. */
import { useQuery } from "./query.ts";
import { loadPermissions } from "./api/session.ts";
import { ApiError } from "./api/errors.ts";

export type May = (rule: string) => boolean;

/** Until it is known nothing that changes is offered; a rule that nobody has told of is left to the service. */
export function usePermissions(image?: string): May {
  const found = useQuery(`permissions ${image ?? ""}`, async () => {
    try {
      return await loadPermissions(image);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return {};
      throw error;
    }
  });
  return (rule) => (found.data ? (found.data[rule] ?? true) : false);
}
