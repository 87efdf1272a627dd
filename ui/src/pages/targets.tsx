// What is scraped, and how it answers.
import { useQuery } from '../api/client';
import type { PromTarget, Prometheus, State } from '../api/types';
import { duration } from '../lib/time';
import { Empty, Head, Loading, StateWord, Table, Tabs, When } from '../parts/basic';
import { OBSERVE_TABS } from '../parts/observe';

const STATE: Record<string, [State, string]> = { up: ['ok', 'up'], down: ['bad', 'down'], unknown: ['unknown', 'unknown'] };

export default function Targets() {
  const targets = useQuery<Prometheus<{ activeTargets: PromTarget[] }>>('/api/v1/targets', { on: ['instance'], everyS: 10 });
  return (
    <>
      <Head title="Targets" over="Where the metrics come from" />
      <Tabs tabs={OBSERVE_TABS} at="targets" label="Observe" />
      <Loading query={targets} what="targets">
        {(t) => t.data.activeTargets.length === 0 ? <Empty>Instances the loop starts, the router and what <code>scrape_configs</code> names will stand here.</Empty> : (
          <Table label="Targets" head={<><th>State</th><th>Pool</th><th>Address</th><th>Labels</th><th class="right">Last scrape</th><th class="right">Took</th></>}>
            {t.data.activeTargets.map((x) => (
              <tr key={x.scrapePool + x.scrapeUrl}>
                <td><StateWord state={STATE[x.health]?.[0] ?? 'unknown'} word={x.health} /></td>
                <td class="nowrap">{x.scrapePool}</td>
                <td><span class="mono">{x.scrapeUrl}</span>{x.lastError && <p class="is-bad"><span class="said mono">{x.lastError}</span></p>}</td>
                <td class="mono">{Object.entries(x.labels).filter(([k]) => k !== '__address__').map(([k, v]) => `${k}=${v}`).join(' ')}</td>
                <td class="right"><When at={x.lastScrape} /></td>
                <td class="right">{duration(x.lastScrapeDuration * 1000)}</td>
              </tr>
            ))}
          </Table>
        )}
      </Loading>
    </>
  );
}
