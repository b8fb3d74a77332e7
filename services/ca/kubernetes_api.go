package ca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serviceAccount is where Kubernetes puts what a pod needs to speak to it.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	// apiTimeout bounds one request; the objects are small.
	apiTimeout = 20 * time.Second
	// maxObject bounds an answer: Kubernetes holds objects below 1.5 MiB.
	maxObject = 2 << 20
)

// errNoObject is the answer of the API about an object that is not there.
var errNoObject = errors.New("there is no such object")

// A KubernetesAPI speaks to the API server of a cluster, in one namespace.
type KubernetesAPI struct {
	URL       string // of the API server, without a path
	Namespace string
	HTTP      *http.Client
	Token     func() (string, error) // of the account; asked for at each request, since it is renewed
}

// InCluster returns the API that the pod's own service account may use.
func InCluster() (KubernetesAPI, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return KubernetesAPI{}, errors.New("this is no pod of a cluster")
	}
	namespace, err := os.ReadFile(filepath.Join(serviceAccount, "namespace"))
	if err != nil {
		return KubernetesAPI{}, fmt.Errorf("read the pod's namespace: %w", err)
	}
	authority, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return KubernetesAPI{}, fmt.Errorf("read the cluster's certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return KubernetesAPI{}, errors.New("the cluster's certificate authority is not PEM")
	}
	return KubernetesAPI{
		URL: "https://" + net.JoinHostPort(host, port), Namespace: strings.TrimSpace(string(namespace)),
		HTTP: &http.Client{Timeout: apiTimeout, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}},
		Token: func() (string, error) {
			token, err := os.ReadFile(filepath.Join(serviceAccount, "token"))
			return strings.TrimSpace(string(token)), err
		},
	}, nil
}

// Kinds of objects, as paths name them.
const (
	secrets     = "/api/v1/namespaces/%s/secrets"
	configMaps  = "/api/v1/namespaces/%s/configmaps"
	deployments = "/apis/apps/v1/namespaces/%s/deployments"
)

// object is a Secret or a ConfigMap: what the bootstrap reads and writes of it.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Data       map[string]string `json:"data"` // of a Secret in base64
}

type metadata struct {
	Name            string            `json:"name"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
}

func (k KubernetesAPI) get(ctx context.Context, kind, name string) (o object, err error) {
	err = k.call(ctx, http.MethodGet, kind, "/"+name, "", nil, &o)
	return o, err
}

// create makes an object. One that is there already is an error.
func (k KubernetesAPI) create(ctx context.Context, kind string, o object) error {
	return k.call(ctx, http.MethodPost, kind, "", "application/json", o, nil)
}

// merge changes the parts of an object that patch names. With a resourceVersion
// in it, it fails if somebody else changed the object since.
func (k KubernetesAPI) merge(ctx context.Context, kind, name string, patch any) error {
	return k.call(ctx, http.MethodPatch, kind, "/"+name, "application/merge-patch+json", patch, nil)
}

// call makes one request. Errors name the object and the status, and nothing
// that an object holds.
func (k KubernetesAPI) call(ctx context.Context, method, kind, path, contentType string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	path = fmt.Sprintf(kind, k.Namespace) + path
	req, err := http.NewRequestWithContext(ctx, method, k.URL+path, body)
	if err != nil {
		return err
	}
	token, err := k.Token()
	if err != nil {
		return fmt.Errorf("read the account's token: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := k.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w", method, path, errNoObject)
	case res.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: status %d", method, path, res.StatusCode)
	case out == nil:
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxObject)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
