export default function Page(_: {stage?: string}) { return <p>rollout</p>; }
