// Stages that come with a later release say so, and what they will show.
import { Empty, Head, StateWord } from '../parts/basic';

const STAGES: Record<string, { title: string; will: string }> = {
  provision: { title: 'Provision', will: 'It will read Terraform, CloudFormation and Kubernetes manifests and show environments, their resources, plans with cost and policy beside each line, and drift.' },
  secure: { title: 'Secure', will: 'It will show findings on what runs now, exceptions with their expiry, secrets by name and lease, and the state of controls.' },
  optimize: { title: 'Optimize', will: 'It will show cost by service, environment and team with the change that moved it, and recommendations with before and after.' },
};

export default function Later({ stage }: { stage?: string }) {
  const s = STAGES[stage ?? ''] ?? { title: 'Later', will: '' };
  return <><Head title={s.title}><StateWord state="unknown" word="later" /></Head><Empty>{s.title} comes with a later release. {s.will} Nothing on this page is measured yet.</Empty></>;
}
