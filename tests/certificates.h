#ifndef GRPC_BREAKER_TESTS_CERTIFICATES_H_
#define GRPC_BREAKER_TESTS_CERTIFICATES_H_

// Certificates and their keys, for tests alone: they protect nothing. Good from
// 2020 for a hundred years. An authority was made, under faketime 2020-01-01,
// by
//
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes
//     -keyout ca.key -subj "/CN=grpc_breaker test ca" -days 36500 -out ca.pem
//
// and what it has issued, with "subjectAltName=DNS:admin.test" for the server
// and "basicConstraints=CA:FALSE" for who has none in the file ext, by
//
//   openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes
//     -keyout NAME.key -subj "/CN=server" -out NAME.csr
//   openssl x509 -req -in NAME.csr -CA ca.pem -CAkey ca.key -CAcreateserial
//     -days 36500 -extfile ext -out NAME.pem

namespace grpc_breaker::certificates {

// Of the authority that issued all but the last one of these.
inline constexpr char kAuthority[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBljCCATugAwIBAgIUEqy0dd9ZOonLEYux2sKC/8vXqtUwCgYIKoZIzj0EAwIw\n"
    "HzEdMBsGA1UEAwwUZ3JwY19icmVha2VyIHRlc3QgY2EwIBcNMjAwMTAxMDAwMDAw\n"
    "WhgPMjExOTEyMDgwMDAwMDBaMB8xHTAbBgNVBAMMFGdycGNfYnJlYWtlciB0ZXN0\n"
    "IGNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGYk0v4OGh5c6qMwP3G+MEaru\n"
    "7zIvF4Gw7uAq8uAFBr9JJmbFCk4FB8Altx9j85OaLppNjY+DUfELM76+hg8nQKNT\n"
    "MFEwHQYDVR0OBBYEFGhpyU0ZxN/qMFp1aV8mZTcT2iyUMB8GA1UdIwQYMBaAFGhp\n"
    "yU0ZxN/qMFp1aV8mZTcT2iyUMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID\n"
    "SQAwRgIhAN2ITpmKcNN4TZeMQD6GHMwUiHKASk3nJLPYhRGUvKPWAiEAs1KcInq4\n"
    "XcxtYvhKc6zm4anhshewvxcI37WVGNuolJs=\n"
    "-----END CERTIFICATE-----\n";

// Of the server admin.test.
inline constexpr char kServer[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjDCCATOgAwIBAgIUclfnibRGD0LYpVK23YfqSvwo8YwwCgYIKoZIzj0EAwIw\n"
    "HzEdMBsGA1UEAwwUZ3JwY19icmVha2VyIHRlc3QgY2EwIBcNMjAwMTAxMDAwMDAw\n"
    "WhgPMjExOTEyMDgwMDAwMDBaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49\n"
    "AgEGCCqGSM49AwEHA0IABOmucfbyw1y4dWYS3fIdleMyIdyvOh8czMxUsxRWbu/p\n"
    "F+KQPNUezh1lSP5nXquoyT4vSere5YWT6WgfxIzWoQqjWTBXMBUGA1UdEQQOMAyC\n"
    "CmFkbWluLnRlc3QwHQYDVR0OBBYEFK7+jTvodeGCzoHeX/grtbWGguWaMB8GA1Ud\n"
    "IwQYMBaAFGhpyU0ZxN/qMFp1aV8mZTcT2iyUMAoGCCqGSM49BAMCA0cAMEQCIBjW\n"
    "BFkbJax9lnnQJuyHOID4xdAhvHzdFlIp4Q1sYQkmAiB1M1pQhYTOuQnCP1C1ABhn\n"
    "BhSgL8UGLBfVaiC3ATdibQ==\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kServerKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6z02tw0yEKSJjUjN\n"
    "wIKbNvaWLP5LvEKa0fshK7508eChRANCAATprnH28sNcuHVmEt3yHZXjMiHcrzof\n"
    "HMzMVLMUVm7v6RfikDzVHs4dZUj+Z16rqMk+L0nq3uWFk+loH8SM1qEK\n"
    "-----END PRIVATE KEY-----\n";

// Of spiffe://test/alice, whose common name is not-alice.
inline constexpr char kAlice[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmTCCAT+gAwIBAgIUclfnibRGD0LYpVK23YfqSvwo8Y0wCgYIKoZIzj0EAwIw\n"
    "HzEdMBsGA1UEAwwUZ3JwY19icmVha2VyIHRlc3QgY2EwIBcNMjAwMTAxMDAwMDAw\n"
    "WhgPMjExOTEyMDgwMDAwMDBaMBQxEjAQBgNVBAMMCW5vdC1hbGljZTBZMBMGByqG\n"
    "SM49AgEGCCqGSM49AwEHA0IABKdC68JiW+omPdXluUI0wKjGFNJ4p3MuwfCEm7xF\n"
    "PPAnDW3gqhcjz6nhfLsSx4hQ5zWGipo194KgYg9XZ32kxMujYjBgMB4GA1UdEQQX\n"
    "MBWGE3NwaWZmZTovL3Rlc3QvYWxpY2UwHQYDVR0OBBYEFB8FmcUEi5P7aJQuF8aT\n"
    "MHYTaxm/MB8GA1UdIwQYMBaAFGhpyU0ZxN/qMFp1aV8mZTcT2iyUMAoGCCqGSM49\n"
    "BAMCA0gAMEUCIQD4fqMWCZg2hY4BU+I3mCcmrpIaSb0CCewjzSQSCnjahAIgZRhb\n"
    "n2bg2VKwXBgwHonhuDGqbKzhZJz6vIAj1Lex/Rs=\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kAliceKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0skQHRSsw+54a0Bl\n"
    "kfG7ejOK59HaHsQtYuHpP6BQdiShRANCAASnQuvCYlvqJj3V5blCNMCoxhTSeKdz\n"
    "LsHwhJu8RTzwJw1t4KoXI8+p4Xy7EseIUOc1hoqaNfeCoGIPV2d9pMTL\n"
    "-----END PRIVATE KEY-----\n";

// Of bob, who has a common name only.
inline constexpr char kBob[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfzCCASSgAwIBAgIUclfnibRGD0LYpVK23YfqSvwo8Y4wCgYIKoZIzj0EAwIw\n"
    "HzEdMBsGA1UEAwwUZ3JwY19icmVha2VyIHRlc3QgY2EwIBcNMjAwMTAxMDAwMDAx\n"
    "WhgPMjExOTEyMDgwMDAwMDFaMA4xDDAKBgNVBAMMA2JvYjBZMBMGByqGSM49AgEG\n"
    "CCqGSM49AwEHA0IABLbrWgMDvjtku5bqA63Jf/+DTqLVt/Cz+C/5kgMcqXx28N/b\n"
    "Lf7GApKQ8xr/xWbf3Kmn5hHf4DZznIvxyyaNpBujTTBLMAkGA1UdEwQCMAAwHQYD\n"
    "VR0OBBYEFNtrRqgkGsdt/PGgdhOXSM5fzhBSMB8GA1UdIwQYMBaAFGhpyU0ZxN/q\n"
    "MFp1aV8mZTcT2iyUMAoGCCqGSM49BAMCA0kAMEYCIQC7Dme7ad7i06JGt2Hf9sf0\n"
    "sH1ppJIRn2X7XvGO1m8z/AIhALhe21soRTMP/nLT38iyAqAUVs9KxN9AnDGZbdkY\n"
    "+bnf\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kBobKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLiOfY8TjJoKbCxuq\n"
    "9DCgwIWCWMMkFg5a965KQETQgKehRANCAAS261oDA747ZLuW6gOtyX//g06i1bfw\n"
    "s/gv+ZIDHKl8dvDf2y3+xgKSkPMa/8Vm39ypp+YR3+A2c5yL8csmjaQb\n"
    "-----END PRIVATE KEY-----\n";

// Of another bob, by another authority.
inline constexpr char kOtherBob[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgjCCASegAwIBAgIURGYOtbqOLVZy+jfQnT4b089pHZQwCgYIKoZIzj0EAwIw\n"
    "IjEgMB4GA1UEAwwXZ3JwY19icmVha2VyIHRlc3Qgb3RoZXIwIBcNMjAwMTAxMDAw\n"
    "MDAxWhgPMjExOTEyMDgwMDAwMDFaMA4xDDAKBgNVBAMMA2JvYjBZMBMGByqGSM49\n"
    "AgEGCCqGSM49AwEHA0IABATg08+TitzCk7/+EYOj8itbTlv4zCuhQL9IUgacmb1U\n"
    "tRC74x+tODpZI8n1AUtHyYPRCXFg/t9hdL5w+CGjlt2jTTBLMAkGA1UdEwQCMAAw\n"
    "HQYDVR0OBBYEFAA4JRv4ldRaFiCTacoZWibX/DQyMB8GA1UdIwQYMBaAFPbPx1em\n"
    "NBEcXdNmLa3r/VQDGVOrMAoGCCqGSM49BAMCA0kAMEYCIQCDI0/g+Pgbed0Dzp0Y\n"
    "ZZpcyhSbpwtMQv4G744Aauw2UAIhAIBymNst9aWYWPGxJOvPjj0+Ix25VOGjXPho\n"
    "xCLQbSWI\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kOtherBobKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjWoZLKBoGEN1pYpS\n"
    "U7/lL4zU3HUJ6wyhjIZgU4UnzeShRANCAAQE4NPPk4rcwpO//hGDo/IrW05b+Mwr\n"
    "oUC/SFIGnJm9VLUQu+MfrTg6WSPJ9QFLR8mD0QlxYP7fYXS+cPgho5bd\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace grpc_breaker::certificates

#endif  // GRPC_BREAKER_TESTS_CERTIFICATES_H_
