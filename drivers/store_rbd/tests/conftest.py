import lab

# the driver can't be imported without Ceph's bindings, which come with the backend's packages
lab.backend("ceph")
lab.ceph_bindings()
