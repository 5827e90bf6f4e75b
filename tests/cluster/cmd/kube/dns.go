package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	dnsDomain = ".svc.cluster.local."
	dnsTTL    = 2 // seconds; pods come and go quickly in tests
)

// dnsServer answers for services, and for the pods behind them that have a hostname, straight from
// the API. It does the part of CoreDNS that pods without a way out can use, for a hundredth of its size.
type dnsServer struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func newDNSCommand() *cobra.Command {
	var kubeconfig, listen string
	command := &cobra.Command{
		Use:   "dns",
		Short: "Answers for the names of services",
		RunE: func(command *cobra.Command, _ []string) error {
			return serveDNS(command.Context(), kubeconfig, listen)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API")
	command.Flags().StringVar(&listen, "listen", "127.0.0.1:53", "address and port, UDP and TCP")
	return command
}

func serveDNS(ctx context.Context, kubeconfig, listen string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	server := &dnsServer{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	stream, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	go server.serveTCP(stream)
	packets, err := net.ListenPacket("udp", listen)
	if err != nil {
		return err
	}
	buffer := make([]byte, 1500)
	for {
		size, peer, err := packets.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if reply := server.reply(buffer[:size]); reply != nil {
			_, _ = packets.WriteTo(reply, peer)
		}
	}
}

func (s *dnsServer) serveTCP(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			klog.ErrorS(err, "Cannot accept")
			return
		}
		go func() {
			defer connection.Close()
			var size [2]byte
			for {
				_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.ReadFull(connection, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(connection, query); err != nil {
					return
				}
				reply := s.reply(query)
				reply = append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)
				if _, err := connection.Write(reply); err != nil {
					return
				}
			}
		}()
	}
}

// reply returns the answer to one message, or nil when it is no query.
func (s *dnsServer) reply(query []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	addresses, found := s.lookup(strings.ToLower(question.Name.String()))
	header = dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired}
	if !found {
		header.RCode = dnsmessage.RCodeNameError
	}
	builder := dnsmessage.NewBuilder(nil, header)
	_ = builder.StartQuestions()
	_ = builder.Question(question)
	_ = builder.StartAnswers()
	if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: dnsTTL}
			_ = builder.AResource(resource, dnsmessage.AResource{A: address.As4()})
		}
	}
	reply, err := builder.Finish()
	if err != nil {
		klog.ErrorS(err, "Cannot build a reply", "name", question.Name)
		return nil
	}
	return reply
}

// lookup returns the addresses of SERVICE.NAMESPACE.svc.cluster.local. or HOSTNAME.SERVICE.NAMESPACE...,
// and whether the name exists at all.
func (s *dnsServer) lookup(name string) ([]netip.Addr, bool) {
	name, inside := strings.CutSuffix(name, dnsDomain)
	if !inside {
		return nil, false
	}
	parts := strings.Split(name, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, false
	}
	namespace, service, hostname := parts[len(parts)-1], parts[len(parts)-2], ""
	if len(parts) == 3 {
		hostname = parts[0]
	}
	object, err := s.services.Services(namespace).Get(service)
	if err != nil {
		return nil, false
	}
	if hostname == "" && object.Spec.ClusterIP != corev1.ClusterIPNone {
		address, err := netip.ParseAddr(object.Spec.ClusterIP)
		return []netip.Addr{address}, err == nil
	}
	addresses := s.endpoints(namespace, service, hostname)
	return addresses, hostname == "" || len(addresses) > 0
}

func (s *dnsServer) endpoints(namespace, service, hostname string) []netip.Addr {
	slices, err := s.slices.EndpointSlices(namespace).List(labels.Set{discoveryv1.LabelServiceName: service}.AsSelector())
	if err != nil {
		return nil
	}
	var addresses []netip.Addr
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			named := hostname == "" || endpoint.Hostname != nil && *endpoint.Hostname == hostname
			// Services with publishNotReadyAddresses have these marked ready.
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if !named || !ready {
				continue
			}
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
					addresses = append(addresses, address)
				}
			}
		}
	}
	return addresses
}
