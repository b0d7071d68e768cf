// Requests of the plugins page alone: apart, so that other pages do not carry them.
import { ApiError, BASE, json, part, post, query } from './client';
import type { PluginUse, ProblemBody, RolledForward, Upload } from './shapes';

export const builds = {
  uploads: () => json<{ items: Upload[] }>('/plugins/uploads'),
  upload: (id: string) => json<Upload>(`/plugins/uploads/${part(id)}`),
  pluginUse: (digest: string) => json<PluginUse>(`/plugins/${part(digest)}/where-used`),
  revoke: (digest: string, reason: string) => json<unknown>(`/plugins/${part(digest)}/revoke`, post({ reason })),
  allow: (digest: string) => json<null>(`/plugins/${part(digest)}/revoke`, { method: 'DELETE' }),
  rollForward: (digest: string, body: { to?: string; dryRun: boolean }) =>
    json<RolledForward>(`/plugins/${part(digest)}/roll-forward`, post(body)),
};

/** Hands a component over; how it fares is asked for by its id. `progress` hears how much of it is sent. */
export function uploadPlugin(file: File, dryRun: boolean, progress: (sent: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${BASE}/plugins${query({ dryRun: String(dryRun), file: file.name.slice(0, 200) })}`);
    request.setRequestHeader('content-type', 'application/wasm');
    request.setRequestHeader('prefer', 'respond-async');
    request.setRequestHeader('stepwell-csrf', '1');
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : 0);
    request.onerror = () =>
      reject(new ApiError(0, 'UNREACHABLE', { status: 0, title: 'The engine cannot be reached' }));
    request.onload = () => {
      let body: unknown = null;
      try {
        body = JSON.parse(request.responseText);
      } catch {
        // Left null: the status alone decides.
      }
      if (request.status < 300) {
        const { id, upload } = body as { id?: string; upload?: string };
        resolve(upload ?? id ?? '');
      } else {
        const problem = (body ?? { status: request.status, title: request.statusText }) as ProblemBody;
        reject(new ApiError(request.status, problem.code ?? `HTTP_${request.status}`, problem));
      }
    };
    request.send(file);
  });
}
