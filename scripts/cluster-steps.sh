# shellcheck shell=bash disable=SC2154
# The steps of scripts/cluster-test.sh, which sources this file.

# install takes the version before, with no values.
install() {
  kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s >/dev/null
  kubectl create namespace "$namespace" >/dev/null
  kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
  previous=${PREVIOUS-}
  if [[ -z $previous ]]; then
    say "no version before is given: this one, packaged as 0.0.0, stands for it"
    "$helm" package charts/sigilo --version 0.0.0 --destination "$work" >/dev/null
    previous=$work/sigilo-0.0.0.tgz
  fi
  "$helm" install "$release" "$previous" --namespace "$namespace" --wait --timeout 4m >/dev/null
  "$helm" test "$release" --namespace "$namespace" --timeout 3m >/dev/null
  say "the test of the release holds: an auction from a pod, through Services"
}

# security reads what the pods that run were given.
security() {
  local want got
  want='true 65532 RuntimeDefault false true [ALL] false'
  got=$(k get pods --selector "app.kubernetes.io/component in (ca,tsa,dms,redis)" -o go-template='{{range .items}}{{$s := .spec}}{{range .spec.containers}}{{$s.securityContext.runAsNonRoot}} {{$s.securityContext.runAsUser}} {{$s.securityContext.seccompProfile.type}} {{.securityContext.allowPrivilegeEscalation}} {{.securityContext.readOnlyRootFilesystem}} {{.securityContext.capabilities.drop}} {{$s.automountServiceAccountToken}}{{"\n"}}{{end}}{{end}}')
  [[ $(sort -u <<<"$got") == "$want" ]] || die "security contexts: $got"
  if k get pods -o yaml | grep -q "secretName: $release-root"; then die "a pod mounts the root's key"; fi
  say "$(wc -l <<<"$got") containers: not root, read-only, no capability, no account"
}

# outside is a client on this machine, through port-forwards.
outside() {
  local port=18080 part url
  for part in ca tsa1 dms; do
    kubectl --namespace "$namespace" port-forward "service/$release-$part" "$port:8080" >/dev/null & # itself, not k: it is to be ended
    ((port++))
  done
  k get configmap "$release-trust" -o jsonpath='{.data.root\.pem}' >"$work/root.pem"
  k get configmap "$release-house" -o jsonpath='{.data.inside\.json}' |
    sed "s|http://$release-ca:8080|http://127.0.0.1:18080|; s|http://$release-tsa1:8080|http://127.0.0.1:18081|; s|http://$release-dms:8080|http://127.0.0.1:18082|" >"$work/house.json"
  (umask 077 && k get secret "$release-operator" -o jsonpath='{.data.operator\.token}' | base64 -d >"$work/operator.token")
  go build -o "$work/sigilo" ./cmd/sigilo
  for url in 18080/.well-known/ca-public 18081/ 18082/; do
    curl --silent --retry 20 --retry-delay 1 --retry-connrefused --output /dev/null "http://127.0.0.1:$url"
  done
  "$work/sigilo" trial --house "$work/house.json" --operator-token "$work/operator.token" --json 2>/dev/null
  jobs -p | xargs -r kill
  wait
}

# faults kills one part after the other while three people bid.
faults() {
  client trial-faults trial "${in_pod[@]}" --for=100s
  k wait --for=condition=Ready pod/trial-faults --timeout=60s >/dev/null
  sleep 8
  say "kill a replica of the broker"
  k delete "$(k get pods --selector app.kubernetes.io/component=dms -o name | head -n 1)" --grace-period=1 --wait=false >/dev/null
  sleep 15
  say "kill Redis"
  k delete "pod/$release-redis-0" --grace-period=1 --wait=false >/dev/null
  sleep 25
  say "kill the CA"
  k delete "pod/$release-ca-0" --grace-period=1 --wait=false >/dev/null
  sleep 12
  say "kill the time authority"
  k delete pod --selector app.kubernetes.io/component=tsa --grace-period=1 --wait=false >/dev/null
  local found
  found=$(result trial-faults 240)
  echo "$found"
  (($(number "$found" accepted) > 50 && $(number "$found" moves) > 0)) || die "too little was bid, or nobody had to move"
  ready
}

# rollout replaces all replicas as an upgrade would: nobody waits long.
rollout() {
  client trial-rollout trial "${in_pod[@]}" --for=50s
  k wait --for=condition=Ready pod/trial-rollout --timeout=60s >/dev/null
  sleep 5
  k rollout restart "deployment/$release-dms" >/dev/null
  k rollout status "deployment/$release-dms" --timeout=180s >/dev/null
  local found wait
  found=$(result trial-rollout 180)
  echo "$found"
  wait=$(number "$found" longest_wait)
  ((${wait%.*} < 5)) || die "a bid waited for $wait s during a rolling restart"
}

# upgrade goes to this version while an auction is open.
upgrade() {
  local before after
  before=$(fingerprints)
  client trial-upgrade trial "${in_pod[@]}" --for=60s
  k wait --for=condition=Ready pod/trial-upgrade --timeout=60s >/dev/null
  sleep 3
  "$helm" upgrade "$release" charts/sigilo --namespace "$namespace" --wait --timeout 4m --set-string podAnnotations.upgraded=yes >/dev/null
  ready
  after=$(fingerprints)
  [[ $before == "$after" ]] || die "an upgrade changed a key"
  result trial-upgrade 180
  say "every key is the same as before"
}

# scale waits for the autoscaler to answer a load.
scale() {
  local replicas
  client load bench load "${in_pod[@]}" --participants=60 --auctions=20 --duration=75s
  for _ in {1..75}; do
    replicas=$(k get "deployment/$release-dms" -o jsonpath='{.status.readyReplicas}')
    ((${replicas:-0} < 3)) || break
    sleep 2
  done
  k get hpa --no-headers
  ((${replicas:-0} >= 3)) || die "the autoscaler did not scale up"
  say "$replicas replicas are ready under load"
  k wait --for=jsonpath='{.status.phase}'=Succeeded pod/load --timeout=180s >/dev/null || die "the load"
}

# uninstall leaves what cannot be made again.
uninstall() {
  local before after
  before=$(fingerprints)
  "$helm" uninstall "$release" --namespace "$namespace" --wait --timeout 2m >/dev/null
  after=$(fingerprints)
  [[ $before == "$after" ]] || die "an uninstall changed a key"
  (($(k get pvc --no-headers | wc -l) == 2)) || die "an uninstall removed a volume"
  say "keys and volumes are still there, as the notes say"
}
