// What is missing or inactive, and why.
import { useQuery } from '../api/client';
import type { Check } from '../api/types';
import { Empty, Head, Loading, StateWord, Table } from '../parts/basic';

export default function Doctor() {
  const checks = useQuery<Check[]>('/api/v1/doctor', { everyS: 30 });
  return (
    <>
      <Head title="Doctor" over="What is there, what is missing, what to do" />
      <Loading query={checks} what="the checks">
        {(rows) => rows.length === 0 ? <Empty command="lem doctor">Nothing to report.</Empty> : (
          <Table label="Checks" head={<><th>State</th><th>Check</th><th>Found</th><th>What to do</th></>}>
            {rows.map((c) => <tr key={c.check}><td><StateWord state={c.state} /></td><td class="nowrap">{c.check}</td><td>{c.sentence}</td><td>{c.fix ?? ''}</td></tr>)}
          </Table>
        )}
      </Loading>
    </>
  );
}
