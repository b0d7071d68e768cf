// Open tasks as an operator answers them. A worker's task is answered under the name of the worker that has it; one that
// nobody has is fetched first, under the console's own.
import { ApiError, api } from '../api/client';
import type { ExternalTask, Json, UserTask } from '../api/shapes';

const CONSOLE = 'console';
const LOCK = '10s';
/** As many as one fetch may take: the task is somewhere among those of its topic. */
const FETCH_MAX = 100;

const gone = (): ApiError =>
  new ApiError(404, 'TASK_NOT_FOUND', { status: 404, code: 'TASK_NOT_FOUND', type: '/docs#TASK_NOT_FOUND' });

export const taskOf = (id: string): Promise<UserTask> => api.task(id);
export const answerTask = (id: string, output: Json): Promise<unknown> => api.completeTask(id, output);
export const rejectTask = (id: string, rejected: { code: string; message?: string }): Promise<unknown> =>
  api.failTask(id, rejected);

export async function workOf(instance: string, id: string): Promise<ExternalTask> {
  const found = (await api.externalTasks(instance)).items.find((task) => task.id === id);
  if (!found) throw gone();
  return found;
}

/** The worker in whose name the task is answered. */
async function holder(task: ExternalTask): Promise<string> {
  if (task.worker && task.lockedUntil && Date.parse(task.lockedUntil) > Date.now()) return task.worker;
  const fetched = (await api.fetchTasks(task.topic, CONSOLE, FETCH_MAX, LOCK)).items;
  // The others are the workers' again at once.
  await Promise.all(fetched.filter((one) => one.id !== task.id).map((one) => api.giveBack(one, CONSOLE)));
  if (!fetched.some((one) => one.id === task.id)) throw new ApiError(409, 'TASK_TAKEN', taken);
  return CONSOLE;
}
const taken = { status: 409, code: 'TASK_TAKEN', type: '/docs#TASK_TAKEN' };

export const answerWork = async (task: ExternalTask, output: Json): Promise<unknown> =>
  api.completeWork(task, await holder(task), output);
export const rejectWork = async (
  task: ExternalTask,
  how: { message?: string; rejected?: { code: string; message?: string } },
): Promise<unknown> => api.failWork(task, await holder(task), how);
