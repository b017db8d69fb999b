/** In which words is a source spoken of, and where is something mended in it? Pure. */

import type { Facts, SourceName } from './facts.ts'

export interface SourceWords {
  /** What an instance in rotation is by its word, before what connecting showed: `Consul says passing, which is not so from here`. */
  readonly routed: string
  /** The same of one that is out because the source calls it ill. */
  readonly ill: string
  /** The same, short: `Consul says critical`. */
  readonly calledIll: string
  /** Who calls it so: `its check`. */
  readonly judge: string
  /** Where an ill one is looked into. */
  readonly illCure: string
  /** What else to do where one in rotation cannot be reached; begins with a semicolon, or is empty. */
  readonly reachCure: string
  /** What to do with an instance that is out and does not answer. */
  readonly goneCure: string
  /** How an address at which others reach it is given. */
  readonly addressCure: string
  /** Several ids at one place, and one id several times. */
  readonly sharedCure: string
  readonly twiceCure: string
  /** How a registration that cannot be used is mended, and otherwise left out. */
  readonly mendCure: string
  /** A service that has no instance at all: what is said of it, and the cure. */
  readonly noInstance: string
  readonly noInstanceCure: string
  /** Instances, and none in rotation. */
  readonly noneCure: string
  readonly tagCure: string
  /** A service that is asked for and not listed. */
  readonly unknownCure: string
  /** Nothing is listed at all. */
  readonly empty: string
  readonly emptyCure: string
  /** Which keys of the config leave services out. */
  readonly excludeKeys: string
}

const REACHABLE = 'register the address at which other machines reach it'
const OWN_PLACE =
  'register each instance with its own address and port, not that of a virtual IP, a load balancer or a published port; deregister what is gone'
const REASONS =
  'the reason beside each instance says what to mend first; evenkeel explain shows what the proxy makes of it'
const START = 'start it, or deregister it if it is gone for good'

function globs(section: string): string {
  return `discovery.${section}.include and exclude`
}

const consul: SourceWords = {
  routed: 'Consul says passing, which is not so from here',
  ill: 'Consul says critical too',
  calledIll: 'Consul says critical',
  judge: 'its check',
  illCure:
    'look at what the check says (evenkeel explain SERVICE shows it, or its page in Consul), and whether the agent reaches the instance as clients do',
  reachCure: '; and give it a check that connects to what clients connect to',
  goneCure: START,
  addressCure: `${REACHABLE} (the address of the service, or the -bind and -advertise address of its agent)`,
  sharedCure: OWN_PLACE,
  twiceCure: 'deregister it where it does not run: it is registered with more than one agent',
  mendCure:
    'mend what registers it; if it is not meant to be sent requests, leave the service out with discovery.consul.exclude',
  noInstance: 'it has no instance that can be seen',
  noInstanceCure:
    'start and register an instance; if some are registered, the ACL token may lack node:read or service:read for them',
  noneCure: REASONS,
  tagCure: 'mend discovery.consul.tag, or register the instances with the tag',
  unknownCure:
    'case counts, and so do datacenter and namespace; is its instance registered, and may this token see it?',
  empty: 'the catalog lists no service',
  emptyCure:
    'a fresh agent is empty until services register; a token without service:read sees nothing; also check discovery.consul.datacenter, namespace, include and exclude',
  excludeKeys: globs('consul'),
}

/** Of a registry that only knows that an entry is there. */
function entries(title: string, entry: string, section: string, lifeline: string): SourceWords {
  return {
    ...consul,
    routed: `${title} has its ${entry} all the same`,
    ill: `${title} calls it ill too`,
    calledIll: `${title} calls it ill`,
    judge: `its ${entry}`,
    illCure: `look at its ${entry} in ${title}, and at what writes it`,
    reachCure: `; and let its ${entry} hang on ${lifeline}, so that it goes when the instance does`,
    goneCure: `start it, or delete its ${entry}`,
    addressCure: `${REACHABLE}: mend what writes its ${entry}`,
    twiceCure: `delete the ${entry} that is too many`,
    mendCure: `mend what writes its ${entry}; if it is not meant to be sent requests, leave the service out with discovery.${section}.exclude`,
    noInstance: `it has no ${entry} that names an instance`,
    noInstanceCure: 'start and register an instance',
    excludeKeys: globs(section),
  }
}

const words: Readonly<Record<SourceName, SourceWords>> = {
  consul,
  eureka: {
    ...consul,
    routed: 'Eureka says UP, which is not so from here',
    ill: 'Eureka says DOWN too',
    calledIll: 'Eureka says DOWN',
    judge: 'its own status',
    illCure: 'an instance tells Eureka its status itself: look at its own health page and log',
    reachCure:
      '; and let the instance tell Eureka its health (eureka.client.healthcheck.enabled), for its beats only say that its process lives',
    addressCure: `${REACHABLE} (eureka.instance.hostname and ip-address; spring.cloud.inetutils.preferred-networks chooses the interface)`,
    twiceCure: 'cancel the one that is too many (DELETE /apps/APP/ID)',
    mendCure:
      'mend what registers it; if it is not meant to be sent requests, leave the service out with discovery.eureka.exclude',
    noInstanceCure: 'start an instance',
    noneCure:
      "what Eureka says is what each instance says of itself: DOWN, and STARTING that stays, are looked into in its own health page and log; OUT_OF_SERVICE is a person's word, and ends with DELETE /apps/APP/ID/status",
    unknownCure:
      'names are in lower case here; is its instance registered with this server, and is discovery.eureka.name (app or vip) what is meant?',
    empty: 'the registry has no instance that is routed',
    emptyCure:
      'a server that was restarted knows nobody until each has beaten again, and hides that for as long as its cache holds (30 s each by default): ask again in two minutes; then check whether the instances register with this one of discovery.eureka.urls',
    excludeKeys: globs('eureka'),
  },
  etcd: {
    ...entries('etcd', 'key', 'etcd', 'a lease that only the living instance renews'),
    tagCure: 'mend discovery.etcd.tag, or write the tag into the values',
    unknownCure: 'case counts; is there a key <prefix>/<service>/<id> of it below discovery.etcd.prefix?',
    empty: 'no key below the prefix names an instance',
    emptyCure:
      'check discovery.etcd.prefix: keys are <prefix>/<service>/<id> (etcdctl get --prefix --keys-only / shows what there is), and a role of discovery.etcd.user must allow reading them',
  },
  zookeeper: {
    ...entries('ZooKeeper', 'node', 'zookeeper', 'the session of the living instance (an ephemeral node)'),
    unknownCure: 'case counts; is there a node of it below discovery.zookeeper.path?',
    empty: 'no node below the path is a service',
    emptyCure:
      'check discovery.zookeeper.path, and the path behind the servers in discovery.zookeeper.connect: services are the nodes below both, instances the nodes below those',
  },
  swarm: {
    ...consul,
    routed: 'Docker says running, which is not so from here',
    ill: 'Docker says unhealthy too',
    calledIll: 'Docker says unhealthy',
    judge: 'its HEALTHCHECK',
    illCure: 'look at what its HEALTHCHECK does, and at docker inspect of the container',
    reachCure:
      "; a task's address answers only on its network: is the proxy a member of it (discovery.swarm.network), and is the port of the label the one that the container listens on, not the published one?",
    goneCure: 'docker service ps SERVICE says what became of it',
    addressCure: 'name the overlay network that the proxy is a member of too: discovery.swarm.network',
    sharedCure:
      'each task has an address of its own on discovery.swarm.network: one that is shared is a virtual IP, or that of a host',
    twiceCure: 'the container is listed twice: remove what is gone',
    mendCure:
      'mend the label of the service (docker service update --label-add); without the label it is not routed at all',
    noInstance: 'it has no running task',
    noInstanceCure: 'docker service ps SERVICE says why; docker service scale SERVICE=2 starts some',
    noneCure:
      'the reason beside each task says what to mend first; docker service ps SERVICE, and docker network inspect of discovery.swarm.network, show the rest',
    unknownCure:
      'case counts; a service without the label of discovery.swarm.label is not routed, nor is one of another swarm',
    empty: 'no service has the label',
    emptyCure:
      'give each service that is to be routed the label of discovery.swarm.label with its port (docker service update --label-add evenkeel.port=8080 SERVICE), and check discovery.swarm.host',
    excludeKeys: globs('swarm'),
  },
  dns: {
    ...consul,
    routed: 'DNS names it all the same',
    ill: 'DNS says so too',
    calledIll: 'DNS leaves it out',
    judge: 'its record',
    illCure: 'look at the record',
    reachCure: "; and take the record out while it is away: DNS itself looks at nobody's health",
    goneCure: 'start it, or take the record out',
    addressCure: 'mend the record: it must name the address at which other machines reach it',
    sharedCure: 'name each place once',
    twiceCure: 'name each place once',
    mendCure: 'mend the record',
    noInstance: 'DNS names no instance of it',
    noInstanceCure: 'add the records, or mend the name in discovery.dns.services',
    noneCure: 'the reason beside each target says what to mend first: mend its records',
    unknownCure: 'case counts; discovery.dns.services has what is asked for',
    empty: 'the config asks for no name',
    emptyCure: 'name services in discovery.dns.services',
    excludeKeys: 'discovery.dns.services',
  },
  file: {
    ...consul,
    routed: 'the file lists it all the same',
    ill: 'the file says so too',
    calledIll: 'the file leaves it out',
    judge: 'its entry',
    illCure: 'look at its entry in the file',
    reachCure: '',
    goneCure: 'start it, or take it out of the file',
    addressCure: 'write the address at which this machine reaches it into the file',
    sharedCure: 'name each place once',
    twiceCure: 'name each place once',
    mendCure: 'mend its entry in the file',
    noInstance: 'the file lists no instance of it',
    noInstanceCure: 'name its instances in the file of discovery.file.path',
    noneCure: 'the reason beside each instance says what to mend in the file',
    unknownCure: 'case counts; the file of discovery.file.path has what is listed',
    empty: 'the file lists no service',
    emptyCure: 'name services and their instances in the file of discovery.file.path',
    excludeKeys: 'register.name',
  },
  push: {
    ...consul,
    routed: 'it was pushed all the same',
    ill: 'the proxy says so too',
    calledIll: 'the proxy leaves it out',
    judge: 'its entry',
    illCure: 'evenkeel explain SERVICE shows what the proxy makes of it',
    reachCure: '; and let it push itself only while it answers: what is not renewed goes',
    goneCure: 'start it, or DELETE it',
    addressCure: 'push the address at which other machines reach it',
    sharedCure: OWN_PLACE,
    twiceCure: 'DELETE the one that is too many',
    mendCure: 'mend what pushes it',
    noInstance: 'nothing is pushed of it',
    noInstanceCure: 'PUT /api/catalog/SERVICE/ID on the admin listener, and renew it before its ttl is over',
    unknownCure: 'case counts; what is not renewed in time is gone',
    empty: 'nothing is pushed',
    emptyCure:
      'PUT /api/catalog/SERVICE/ID on the admin listener, and renew it before its ttl is over; with discovery.snapshot what was pushed survives a restart',
    excludeKeys: 'register.name',
  },
  static: {
    ...consul,
    routed: 'the config lists it all the same',
    ill: 'the config lists it too',
    calledIll: 'the config leaves it out',
    judge: 'its entry',
    illCure: 'look at its entry in discovery.static.services',
    reachCure: '',
    addressCure: 'write the address at which this machine reaches it into discovery.static.services',
    mendCure: 'mend its entry in discovery.static.services',
    sharedCure: 'name each place once',
    twiceCure: 'name each place once',
    noInstance: 'the config lists no instance of it',
    noInstanceCure: 'name its instances in discovery.static.services',
    noneCure: 'name its instances in discovery.static.services',
    unknownCure: 'case counts; discovery.static.services has what is listed',
    empty: 'the list has no service',
    emptyCure: 'name services and their instances in discovery.static.services, or set discovery.source to consul',
    excludeKeys: 'register.name',
  },
}

export function wordsOf({ source }: Pick<Facts, 'source'>): SourceWords {
  return words[source]
}

/** Does whoever writes it mean the machine of the proxy, when he writes its loopback address? */
export function isOwnList({ source }: Pick<Facts, 'source'>): boolean {
  return source === 'static' || source === 'file' || source === 'push'
}
