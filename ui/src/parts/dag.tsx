// Jobs of a run and what they need. The table below it says the same.
import type { Job } from '../api/types';
import { duration } from '../lib/time';
import { outcomeOf } from './basic';
import { Graph } from './graph';

export function Dag({ jobs, critical, chosen, choose }: { jobs: Job[]; critical: string[]; chosen: string; choose: (job: string) => void }) {
  const boxes = jobs.map((j) => {
    const [state, word] = outcomeOf(j.state, j.conclusion ?? j.outcome);
    const took = j.durationMs === null || j.durationMs === undefined ? '' : ` · ${duration(j.durationMs)}`;
    return { id: j.job, title: j.name, sub: word + took, state };
  });
  const follows = (a: string, b: string) => critical.includes(a) && critical[critical.indexOf(a) + 1] === b;
  const edges = jobs.flatMap((j) => j.needs.map((need) => ({ from: need, to: j.job, strong: follows(need, j.job) })));
  return <Graph boxes={boxes} edges={edges} chosen={chosen} choose={choose} label="Graph of jobs; the table below lists the same" />;
}
