import numpy as np
from ase_physml.native.curves import curves_of, spacing
from ase_physml.native.weights import weights_of
from ase_physml.native.edges import Pairs, Edges, find_pairs
from ase_physml.native.gradient import Room, evaluate
from ase_physml.native.messages import Rows
from ase_physml.native.pair_terms import BLOCK

class Native:
    def __init__(self,model,dtype="float64"):
        c=model.config
        self.w=weights_of(model,dtype); self.c=c
        for s in range(len(c.elements)): self.w.curves[s]=curves_of(model,s)
        self.step=spacing(model)
        self.species=model.species_of.numpy()
        self.dtype=np.dtype(dtype)
    def __call__(self,numbers,positions,starts):
        c=self.c; A=len(numbers); n=np.diff(starts); P=int((n*(n-1)//2).sum())
        L,d=c.depth,c.width
        pairs=Pairs(np.empty((2,P),np.int64),np.empty((P,3)),np.empty(P))
        start=np.zeros(A+1,np.int64)
        reach=c.pair_cutoff or 1e30
        P,K,nearest=find_pairs(positions,starts,reach,c.cutoff,False,pairs,start)
        if P<len(pairs.distance):
            pairs=Pairs(np.ascontiguousarray(pairs.atoms[:,:P]),pairs.vector[:P],pairs.distance[:P])
        E=2*K+A
        dt=self.dtype
        species=self.species[numbers]
        edges=Edges(species,start,np.empty(E,np.int64),np.empty(E,np.int64),np.empty(K+1,np.int64),np.empty((K+1,12),dt))
        z=lambda *s: np.zeros(s,dt)
        e=lambda *s: np.empty(s,dt)
        w=self.w
        h=w.atom.shape[1]
        room=Room(x=w.base[species],around=z(A,d),hat=e(L+1,A,d),scale=np.empty((L+1,A)),qkv=z(L,3,A,d),gate=np.empty((L,E,c.heads)),rise=np.empty((L,E,c.heads)),update=z(L,A,d),
          atom_hidden=z(A,h),pair_hidden=z(2,A,d),grown=e(2,A,d),rise_of_pairs=e(2,BLOCK,d),block=np.empty((7,BLOCK)),by_pair_hidden=z(2,A,d),by_x=z(A,d),by_hat=z(L+1,A,d),by_qkv=z(L,3,A,d),by_update=z(L,A,d),by_around=z(A,d),
          slope=np.zeros(P),near_slope=np.zeros(K+1),near=np.empty(K,np.int64),reached=np.zeros(A,np.int64),stack=np.empty(A,np.int64),owner=np.repeat(np.arange(len(n)),n))
        rows=Rows(*(e(d) for _ in range(6)))
        en=w.constants[species].astype(float); f=np.zeros((A,3)); s=np.zeros((len(n),3,3))
        said=evaluate(w,(c.atom_energy,c.pair_energy),(c.cutoff,reach),self.step,starts,pairs,edges,room,rows,en,f,s)
        return en,f,s,said
