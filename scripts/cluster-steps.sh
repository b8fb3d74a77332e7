# shellcheck shell=bash disable=SC2154
# The steps of scripts/cluster-test.sh, which sources this file.

# install takes the version before, with no values.
install() {
  kubectl delete namespace "$namespace" --ignore-not-found --timeout=180s >/dev/null
  kubectl create namespace "$namespace" >/dev/null
  kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
  previous=${PREVIOUS-}
  if [[ -z $previous ]]; then
    say "no version before is given: this one, packaged as 0.0.0, stands for it"
    "$helm" package charts/sigilo --version 0.0.0 --destination "$work" >/dev/null
    previous=$work/sigilo-0.0.0.tgz
  fi
  "$helm" install "$release" "$previous" --namespace "$namespace" --wait --timeout 6m >/dev/null
  "$helm" test "$release" --namespace "$namespace" --timeout 4m >/dev/null
  say "the test of the release holds: an auction from a pod, through Services"
}

# security reads what the pods that run were given.
security() {
  local want got
  want='true 65532 RuntimeDefault false true [ALL] false'
  got=$(k get pods --selector "app.kubernetes.io/component in (ca,tsa,dms,redis)" -o go-template='{{range .items}}{{$s := .spec}}{{range .spec.containers}}{{$s.securityContext.runAsNonRoot}} {{$s.securityContext.runAsUser}} {{$s.securityContext.seccompProfile.type}} {{.securityContext.allowPrivilegeEscalation}} {{.securityContext.readOnlyRootFilesystem}} {{.securityContext.capabilities.drop}} {{$s.automountServiceAccountToken}}{{"\n"}}{{end}}{{end}}')
  [[ $(sort -u <<<"$got") == "$want" ]] || die "security contexts: $got"
  [[ $(k get pods -o yaml) != *"secretName: $release-root"* ]] || die "a pod mounts the root's key"
  say "$(wc -l <<<"$got") containers: not root, read-only, no capability, no account"
}

# forward PART makes a port of this machine that of a service, and prints it.
forward() {
  kubectl --namespace "$namespace" port-forward "service/$release-$1" :8080 >"$work/forward-$1" & # itself, not k: it is to be ended
  for _ in {1..100}; do
    if sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$work/forward-$1" | grep .; then return; fi
    sleep 0.2
  done
  die "no port-forward to $1" >&2
}

# program gets the client for this machine: out of its image, where that runs here.
program() {
  if [[ $(uname -s) != Linux ]]; then
    go build -o "$work/sigilo" ./cmd/sigilo
    return
  fi
  local id
  id=$(docker create "sigilo-sigilo:$version")
  docker cp "$id:/program" "$work/sigilo" >/dev/null
  docker rm "$id" >/dev/null
}

# outside is a client on this machine, through port-forwards.
outside() {
  local part ports=()
  for part in ca tsa1 dms; do
    forward "$part" >"$work/port" # not $(...), which would wait for its end
    ports+=("$(<"$work/port")")
  done
  k get configmap "$release-trust" -o jsonpath='{.data.root\.pem}' >"$work/root.pem"
  k get configmap "$release-house" -o jsonpath='{.data.inside\.json}' |
    sed "s|//$release-ca:8080|//127.0.0.1:${ports[0]}|; s|//$release-tsa1:8080|//127.0.0.1:${ports[1]}|; s|//$release-dms:8080|//127.0.0.1:${ports[2]}|" >"$work/house.json"
  (umask 077 && k get secret "$release-operator" -o jsonpath='{.data.operator\.token}' | base64 -d >"$work/operator.token")
  program
  "$work/sigilo" trial --house "$work/house.json" --operator-token "$work/operator.token" --json 2>"$work/outside.err" ||
    die "$(tail -n 3 "$work/outside.err")"
  jobs -p | xargs -r kill
  wait
}

# smooth RESULT: whoever bid was told of no trouble, and waited for no time that
# a person would call long. The wait comes first: a bid that waits for longer than
# the policy's 5 s of freshness is refused, and then that is not another matter.
smooth() {
  local wait
  echo "$1"
  wait=$(number "$1" longest_wait)
  if ((${wait%.*} >= 5)); then
    say "TOO SLOW: somebody waited $wait s"
    exit 75
  fi
  (($(number "$1" troubles) == 0)) || die "somebody was told of trouble"
}

# replicas LEAST MOST lets the autoscaler have so many, and waits for them.
replicas() {
  k patch hpa "$release-dms" --type merge --patch "{\"spec\":{\"minReplicas\":$1,\"maxReplicas\":$2}}" >/dev/null
  k wait "deployment/$release-dms" --for="jsonpath={.spec.replicas}=$1" --timeout=90s >/dev/null
  k rollout status "deployment/$release-dms" --timeout=180s >/dev/null
}

# rollout replaces all replicas, and changes their number, while people bid.
rollout() {
  bidders trial-rollout 80s
  k rollout restart "deployment/$release-dms" >/dev/null
  k rollout status "deployment/$release-dms" --timeout=180s >/dev/null
  say "all replicas are new ones"
  local n
  for n in 1 4 2; do
    replicas "$n" "$n"
    say "$n ready"
  done
  k patch hpa "$release-dms" --type merge --patch '{"spec":{"minReplicas":2,"maxReplicas":10}}' >/dev/null
  local found
  found=$(result trial-rollout 240)
  smooth "$found"
}

# upgrade goes to this version while an auction is open. All is replaced, Redis
# too: nothing may be lost, but somebody may be told to wait.
upgrade() {
  local before after
  before=$(fingerprints)
  bidders trial-upgrade 45s
  "$helm" upgrade "$release" charts/sigilo --namespace "$namespace" --wait --timeout 6m --set-string podAnnotations.upgraded=yes >/dev/null
  ready
  after=$(fingerprints)
  [[ $before == "$after" ]] || die "an upgrade changed a key"
  result trial-upgrade 240
  local part said
  for part in deployment/{dms,tsa1} statefulset/ca; do
    said=$(k exec "${part/\//\/$release-}" -- /program --version)
    [[ $said == "$version" ]] || die "$part says that it is $said"
  done
  say "every key is the same as before, and all say that they are $version"
}

# faults kills one part after the other while three people bid. An auditor then
# finds every bid that has a receipt in the log, and no other.
faults() {
  bidders trial-faults 80s
  sleep 3
  say "kill a replica of the broker"
  k delete "$(k get pods --selector app.kubernetes.io/component=dms -o name | head -n 1)" --grace-period=1 --wait=false >/dev/null
  sleep 12
  say "kill Redis"
  k delete "pod/$release-redis-0" --grace-period=1 --wait=false >/dev/null
  sleep 20
  say "kill the CA"
  k delete "pod/$release-ca-0" --grace-period=1 --wait=false >/dev/null
  sleep 10
  say "kill the time authority"
  k delete pod --selector app.kubernetes.io/component=tsa --grace-period=1 --wait=false >/dev/null
  local found
  found=$(result trial-faults 300)
  echo "$found"
  (($(number "$found" accepted) > 50 && $(number "$found" moves) > 0)) || die "too little was bid, or nobody had to move"
  ready
}

# scale waits for the autoscaler to answer a load. Where generator, broker and
# Redis share two cores, no broker gets enough to do for the chart's 70 %, but far
# more than the 2 % of an idle one.
scale() {
  local replicas=0 target=15
  k patch hpa "$release-dms" --type json --patch "[{\"op\": \"replace\", \"path\": \"/spec/metrics/0/resource/target/averageUtilization\", \"value\": $target}]" >/dev/null
  k delete job sigilo-load --ignore-not-found >/dev/null
  k apply -f k8s/experiments/load.yaml >/dev/null
  for _ in {1..100}; do
    replicas=$(k get "deployment/$release-dms" -o jsonpath='{.status.readyReplicas}')
    ((${replicas:-0} < 3)) || break
    sleep 2
  done
  k get hpa --no-headers
  ((${replicas:-0} >= 3)) || die "the autoscaler did not scale up"
  say "$replicas replicas are ready under load"
  k wait --for=condition=Complete job/sigilo-load --timeout=240s >/dev/null || die "the load"
}

# uninstall leaves what cannot be made again.
uninstall() {
  local before after
  before=$(fingerprints)
  "$helm" uninstall "$release" --namespace "$namespace" --wait --timeout 3m >/dev/null
  after=$(fingerprints)
  [[ $before == "$after" ]] || die "an uninstall changed a key"
  (($(k get pvc --no-headers | wc -l) == 2)) || die "an uninstall removed a volume"
  say "keys and volumes are still there, as the notes say"
}

# outside_redis starts three servers under Sentinels, apart from the release. Those
# of an earlier run have another password on their volumes.
outside_redis() {
  local password n
  k delete statefulset outside --ignore-not-found >/dev/null
  k delete pvc --selector app.kubernetes.io/name=outside --ignore-not-found --timeout=120s >/dev/null
  password=$(openssl rand -hex 16)
  mkdir -p "$work/outside"
  for n in 0 1 2; do
    printf '%s\n' "dir /data" "appendonly yes" 'save ""' "maxmemory 200mb" "maxmemory-policy noeviction" \
      "min-replicas-to-write 1" "requirepass $password" "masterauth $password" \
      "replica-announce-ip outside-$n.outside" >"$work/outside/outside-$n.conf"
    ((n == 0)) || echo "replicaof outside-0.outside 6379" >>"$work/outside/outside-$n.conf"
  done
  printf '%s\n' "dir /data" "port 26379" "protected-mode no" "sentinel resolve-hostnames yes" \
    "sentinel announce-hostnames yes" "sentinel monitor house outside-0.outside 6379 2" \
    "sentinel auth-pass house $password" "sentinel down-after-milliseconds house 3000" \
    "sentinel failover-timeout house 10000" >"$work/outside/sentinel.conf"
  k delete secret outside --ignore-not-found >/dev/null
  k create secret generic outside --from-file="$work/outside" --from-literal="password=$password" >/dev/null
  k apply -f k8s/experiments/sentinel.yaml >/dev/null
  k rollout status statefulset/outside --timeout=180s >/dev/null
}

# primary prints the server that two Sentinels or more follow.
primary() {
  k exec outside-2 --container sentinel -- redis-cli -p 26379 sentinel get-master-addr-by-name house | head -n 1 | cut -d . -f 1
}

# sentinel holds auctions in a second release, over a Redis that is not of it,
# and kills the primary while people bid.
sentinel() {
  local release=$release-sentinel hosts before found
  outside_redis
  hosts='outside-0.outside:26379\,outside-1.outside:26379\,outside-2.outside:26379'
  "$helm" install "$release" charts/sigilo --namespace "$namespace" --wait --timeout 6m \
    --set-string "redis.url=redis+sentinel://:\$(REDIS_PASSWORD)@$hosts/house" \
    --set redis.existingSecret=outside --set 'redis.ports={6379}' >/dev/null
  bidders trial-sentinel 60s
  before=$(primary)
  say "kill $before, the primary, and its Sentinel"
  k delete "pod/$before" --grace-period=1 --wait=false >/dev/null
  found=$(result trial-sentinel 300)
  echo "$found"
  [[ $(primary) != "$before" ]] || die "no other server became primary"
  (($(number "$found" accepted) > 50)) || die "too little was bid"
  k rollout status statefulset/outside --timeout=180s >/dev/null
  say "$(primary) is the primary now, and no bid with a receipt was lost"
  "$helm" uninstall "$release" --namespace "$namespace" --wait --timeout 3m >/dev/null
}
